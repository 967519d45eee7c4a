/* health -- the two messages of gRPC's health checking.  Room header. */
#ifndef WIRE_HEALTH_H
#define WIRE_HEALTH_H

#include "base/inner.h"

enum wire_health {
    WIRE_HEALTH_UNKNOWN,
    WIRE_SERVING,
    WIRE_NOT_SERVING,
    WIRE_SERVICE_UNKNOWN /* of Watch alone */
};

/* A HealthCheckRequest: the name is a view into it, empty for the whole server.  CS_EPROTO. */
CS_INNER cs_err wire_health_parse(cs_bytes msg, cs_bytes *ret_service);

/* A HealthCheckResponse; answers its length, at most WIRE_HEALTH_MAX. */
enum { WIRE_HEALTH_MAX = 2 };
CS_INNER size_t wire_health_put(uint8_t *to, enum wire_health status);

#endif
