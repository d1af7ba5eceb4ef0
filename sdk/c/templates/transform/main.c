// Upper-cases records; an empty one is dropped, one with a zero byte fails. Each gets the partition
// key `kind`, with the value of the setting KIND.
//
// Who writes C frees what came in and hands over what goes out: lists from malloc, which the bindings
// free behind the call where they are not empty. What came in may go out, as the payload does here.
#include <stdlib.h>
#include <string.h>

#include "transform.h"

typedef transform_list_u32_t Offsets;

// Memory, or a trap: the host tries the batch again in halves. Nothing for no bytes.
static void *room(size_t bytes) {
  void *memory = bytes == 0 ? NULL : malloc(bytes);
  if (memory == NULL && bytes != 0) abort();
  return memory;
}

// An empty list with room for `count` numbers.
static Offsets offsets(size_t count) {
  return (Offsets){room(count * sizeof(uint32_t)), 0};
}

// A copy that the host may free.
static transform_string_t text(const char *words) {
  transform_string_t copy;
  transform_string_dup(&copy, words);
  return copy;
}

static void fail(transform_output_t *out, uint32_t index, const char *reason) {
  millrace_transform_types_list_failure_t *failures = &out->failures;
  failures->ptr = realloc(failures->ptr, (failures->len + 1) * sizeof *failures->ptr);
  if (failures->ptr == NULL) abort();
  failures->ptr[failures->len++] = (millrace_transform_types_failure_t){index, text(reason)};
}

// The value of setting KIND, or `loud`.
static transform_string_t kind(void) {
  transform_string_t name, value;
  transform_string_set(&name, "KIND");
  return millrace_transform_settings_get(&name, &value) ? value : text("loud");
}

// Every output record has the one partition key, whose values lie one behind the other.
static void partition(transform_output_t *out) {
  transform_string_t value = kind();
  size_t count = out->ends.len;
  out->partition_names = (transform_list_string_t){room(sizeof(transform_string_t)), 1};
  out->partition_values = (transform_list_u8_t){room(count * value.len), count * value.len};
  out->partition_ends = offsets(count);
  out->partition_names.ptr[0] = text("kind");
  for (size_t i = 0; i < count; i++) {
    memcpy(out->partition_values.ptr + i * value.len, value.ptr, value.len);
    out->partition_ends.ptr[out->partition_ends.len++] = (uint32_t)((i + 1) * value.len);
  }
  transform_string_free(&value);
}

bool exports_transform_transform(transform_batch_t *batch, transform_output_t *out, transform_string_t *error) {
  (void)error; // `return false` with a text there: nothing of the batch was processed.
  memset(out, 0, sizeof *out);
  out->payload = batch->payload;
  batch->payload.len = 0; // It is the output's now.
  out->ends = offsets(batch->ends.len);
  out->sources = offsets(batch->ends.len);

  uint8_t *payload = out->payload.ptr;
  size_t start = 0, written = 0;
  for (size_t i = 0; i < batch->ends.len; i++) {
    size_t end = batch->ends.ptr[i], length = end - start;
    if (length > 0 && memchr(payload + start, 0, length) != NULL) {
      fail(out, (uint32_t)i, "a zero byte");
    } else if (length > 0) {
      // What goes out is never longer than what came in, so it is written over it.
      for (size_t at = start; at < end; at++) {
        uint8_t byte = payload[at];
        payload[written++] = byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte;
      }
      out->ends.ptr[out->ends.len++] = (uint32_t)written;
      out->sources.ptr[out->sources.len++] = (uint32_t)i;
    }
    start = end;
  }
  out->payload.len = written;
  if (out->ends.len > 0) {
    partition(out);
  } else { // Empty lists are not freed behind the call.
    free(out->payload.ptr);
    free(out->ends.ptr);
    free(out->sources.ptr);
  }
  transform_batch_free(batch);
  return true;
}
