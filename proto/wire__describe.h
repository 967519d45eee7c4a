/* wire__describe -- descriptor sets (google/protobuf/descriptor.proto) as they stand in the bytes.
 *
 * Private to the room.  Nothing is unpacked: a question walks the bytes, as often as it is asked.
 * All but the check wants sets that passed it. */
#ifndef WIRE__DESCRIBE_H
#define WIRE__DESCRIBE_H

#include "proto/reflect.h"

/* The next FileDescriptorProto of a set; false at the end. */
bool wire__set_next(cs_bytes *set, cs_bytes *ret_file);
/* The next field `number` of a message, of bytes; false at the end. */
bool wire__each(cs_bytes *message, uint32_t number, cs_bytes *ret);

cs_bytes wire__file_name(cs_bytes file);
bool wire__file_declares(cs_bytes file,
                         cs_bytes symbol); /* "pkg.Type.field", "pkg.Service.Method" ... */
bool wire__file_imports(cs_bytes *rest, cs_bytes *ret_name); /* `rest` begins as the file */

/* Of the extensions of `type` that the file declares: the number after `after`, in order of
 * numbers; 0: none. */
uint32_t wire__file_extends(cs_bytes file, cs_bytes type, uint32_t after);

#endif
