// Answers an event, which is JSON, with the event and the function's name around it. The setting
// GREETING stands in the answer where it is set.
//
// Who writes C frees what came in and hands over what goes out: lists from malloc, which the bindings
// free behind the call.
#include <stdlib.h>
#include <string.h>

#include "handler.h"

// Bytes that grow.
typedef struct {
  uint8_t *ptr;
  size_t len, room;
} Bytes;

static void append(Bytes *bytes, const void *more, size_t len) {
  if (bytes->len + len > bytes->room) {
    bytes->room = 2 * bytes->room + len + 64;
    bytes->ptr = realloc(bytes->ptr, bytes->room);
    if (bytes->ptr == NULL) abort(); // A trap.
  }
  memcpy(bytes->ptr + bytes->len, more, len);
  bytes->len += len;
}

static void append_text(Bytes *bytes, const char *text) {
  append(bytes, text, strlen(text));
}

// A string of JSON.
static void append_string(Bytes *bytes, handler_string_t text) {
  static const char digits[] = "0123456789abcdef";
  append_text(bytes, "\"");
  for (size_t i = 0; i < text.len; i++) {
    uint8_t byte = text.ptr[i];
    if (byte < 0x20) {
      char escaped[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
      append(bytes, escaped, sizeof escaped);
    } else {
      if (byte == '"' || byte == '\\') append_text(bytes, "\\");
      append(bytes, &byte, 1);
    }
  }
  append_text(bytes, "\"");
}

bool exports_handler_handle(handler_list_u8_t *event, handler_list_u8_t *answer, handler_string_t *error) {
  if (event->len == 0) {
    handler_string_dup(error, "no event");
    return false;
  }
  millrace_transform_invocation_context_t call;
  millrace_transform_invocation_current(&call);
  Bytes json = {0};
  append_text(&json, "{\"function\":");
  append_string(&json, call.function_name);
  handler_string_t name, greeting;
  handler_string_set(&name, "GREETING");
  if (millrace_transform_settings_get(&name, &greeting)) {
    append_text(&json, ",\"greeting\":");
    append_string(&json, greeting);
    handler_string_free(&greeting);
  }
  append_text(&json, ",\"event\":");
  append(&json, event->ptr, event->len);
  append_text(&json, "}");
  *answer = (handler_list_u8_t){json.ptr, json.len};
  millrace_transform_invocation_context_free(&call);
  handler_list_u8_free(event);
  return true;
}
