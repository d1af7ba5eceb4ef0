package handler

import _ "millrace.local/millrace/internal/bindings/handler"
