/* field -- protobuf, so far as chanserv(1) reads it by itself: the fields of a message, one by one. */
#ifndef TOOLS_FIELD_H
#define TOOLS_FIELD_H

#include "base/base.h"

enum { FIELD_VARINT = 0, FIELD_FIXED64 = 1, FIELD_BYTES = 2, FIELD_FIXED32 = 5 };

struct field {
    uint64_t number, type, value; /* the varint, or how long the bytes are */
    cs_bytes bytes;               /* a view of the message */
};

/* The first field of `rest`, which goes on behind it; what is not known is taken too, and left alone by
 * who asked.  False: it is cut, or none; at the end, where rest->len is 0, too. */
bool field_next(cs_bytes *rest, struct field *ret);

#endif
