// Stock @grpc/grpc-js against a running server.  Environment:
//   CHANSERV_PROTO     the .proto file
//   CHANSERV_GEN       HOST:PORT of `chanserv serve --rendezvous` with gen, echo and tail
//   CHANSERV_WITNESS   HOST:PORT of witness.c
//   CHANSERV_PACKED    HOST:PORT of witness.c that compresses
//   CHANSERV_CELLS, CHANSERV_CERTS, CHANSERV_EXPIRED, CHANSERV_ROLLED   see cells.sh
'use strict';
require('./read');
require('./leave');
require('./raw');
require('./sessions');
require('./meet');
require('./talk');
require('./gzip');
require('./unary');
require('./admin');
require('./cells');
require('./roll');
require('./strangers');
require('./kit').run();
