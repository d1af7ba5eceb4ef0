package transform

import _ "millrace.local/millrace/internal/bindings/transform"
