// Stock @grpc/grpc-js against a running server.  Environment:
//   CHANSERV_PROTO     the .proto file
//   CHANSERV_GEN       HOST:PORT of `chanserv serve` with gen, echo and tail
//   CHANSERV_WITNESS   HOST:PORT of witness.c
'use strict';
require('./read');
require('./leave');
require('./raw');
require('./talk');
require('./kit').run();
