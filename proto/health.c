/* health -- see health.h. */
#include "proto/health.h"
#include "proto/wire__field.h"

cs_err wire_health_parse(cs_bytes msg, cs_bytes *ret_service)
{
    cs_bytes service = cs_str("");
    struct wire__field field;
    cs_err err;

    while ((err = wire__field_next(&msg, &field)) == CS_OK)
        if (field.number == 1 && (err = wire__take_text(&field, &service)) != CS_OK)
            return err;
    if (err != CS_DONE)
        return err;
    *ret_service = service;
    return CS_OK;
}

size_t wire_health_put(uint8_t *to, enum wire_health status)
{
    return wire__put_u64(to, 1, status);
}
