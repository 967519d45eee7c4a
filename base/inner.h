/* inner -- what the libraries of this package share with each other, and with nobody else.
 *
 * Room header.  libchanserv-gateway stands on rooms of libchanserv whose headers are not installed.
 * A function that it needs of these is declared CS_INNER, and stands under the private version of
 * chanserv.map, which is that of one release: the linker lets no two of different releases meet. */
#ifndef CS_INNER_H
#define CS_INNER_H

#include "base/base.h"

#define CS_INNER CS_API

#endif
