/* reflect -- gRPC's server reflection as a function: a question's bytes to an answer's.
 *
 * Room header.  v1 and v1alpha are the same bytes.  What a server speaks are its services by name, and
 * sets of files that describe them: what `protoc --include_imports --descriptor_set_out` writes. */
#ifndef WIRE_REFLECT_H
#define WIRE_REFLECT_H

#include "base/inner.h"

/* chanserv.proto and those of health and reflection; made of them by test/descriptors.sh --fix. */
CS_INNER extern const cs_bytes wire_descriptors;

struct wire_spoken {
    const cs_bytes *sets;
    size_t sets_len;
    const cs_bytes *services; /* "pkg.Service" */
    size_t services_len;
};

/* Is it a set that can be answered of, behind `before`?  CS_EPROTO: no such message, or a file without
 * a name; CS_ENOENT: a file imports one that is in no set.  Of files of one name the first counts. */
CS_INNER cs_err wire_set_check(cs_bytes set, const struct wire_spoken *before);

/* A ServerReflectionRequest to the ServerReflectionResponse, in memory of the caller's (cs_free); what
 * there is not is an answer too.  CS_EPROTO: it is no such request; CS_ENOMEM. */
CS_INNER cs_err wire_reflect(cs_bytes request, const struct wire_spoken *spoken, uint8_t **ret,
                             size_t *ret_len);

#endif
