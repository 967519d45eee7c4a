/* ticket -- tickets as text: the end of a URL, in hexadecimal digits. */
#include "gateway/gateway__in.h"

#include <stdio.h>

void gateway__source_url(cs_bytes ticket, char to[GATEWAY__URL])
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = ticket.base;
    char *at = to + snprintf(to, GATEWAY__URL, "/v1/source/");

    for (size_t i = 0; i < ticket.len && i < GATEWAY__TICKET; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    *at = '\0';
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gateway__ticket_parse(cs_bytes text, uint8_t to[GATEWAY__TICKET], size_t *len)
{
    const char *c = text.base;

    if (text.len == 0 || text.len % 2 || text.len > 2 * GATEWAY__TICKET)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        const int high = digit(c[i]), low = digit(c[i + 1]);

        if (high < 0 || low < 0)
            return false;
        to[i / 2] = (uint8_t)(high << 4 | low);
    }
    *len = text.len / 2;
    return true;
}
