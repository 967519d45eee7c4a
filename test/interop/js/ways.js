// How a client comes to the servers of the matrix (cells.sh), and as whom.
'use strict';
const fs = require('fs');
const { connect, grpc } = require('./kit');

const file = (name) => fs.readFileSync(`${process.env.CHANSERV_CERTS}/${name}`);
const cells = process.env.CHANSERV_CELLS.trim().split('\n').map((line) => {
    const [name, gen, witness] = line.split(' ');
    return { name, gen, witness };
});
const token = `Bearer ${String(file('token')).trim()}`;

const trusting = (...client) => grpc.credentials.createSsl(file('ca.pem'), ...client);
const showing = (name) => trusting(file(`${name}.key`), file(`${name}.pem`));

// Call credentials want TLS; in plain text a token is metadata like any other.
const callCredentials = grpc.credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new grpc.Metadata();
    metadata.set('authorization', token);
    done(null, metadata);
});
const inPlainText = (options, next) => new grpc.InterceptingCall(next(options), {
    start(metadata, listener, go) {
        metadata.set('authorization', token);
        go(metadata, listener);
    },
});

// A client who may use gen, of one of the two servers of a cell.
const known = {
    h2c: (addr, more) => connect(addr, { interceptors: [inPlainText], ...more }),
    unix: (addr, more) => connect(addr, more),
    tls: (addr, more) => connect(addr, more,
        grpc.credentials.combineChannelCredentials(trusting(), callCredentials)),
    mtls: (addr, more) => connect(addr, more, showing('client')),
};
// One who may not.  (Another user of the unix socket: test/tools/serve.sh.)
const unknown = {
    h2c: (addr) => connect(addr),
    tls: (addr) => connect(addr, {}, trusting()),
    mtls: (addr) => connect(addr, {}, showing('visitor')),
};

module.exports = { cells, file, known, showing, trusting, unknown };
