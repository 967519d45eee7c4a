// TLS that must not come about: the caller hears UNAVAILABLE, the server counts it and serves on.
'use strict';
const tls = require('tls');
const { assert, collect, connect, ends, grpc, post, seen, test, until } = require('./kit');
const { cells, file, known, showing, trusting } = require('./ways');

const witness = Object.fromEntries(cells.map((cell) => [cell.name, cell.witness]));
const old = () => grpc.credentials.createFromSecureContext(tls.createSecureContext({
    ca: file('ca.pem'), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0',
}));
// How many the server has turned away.  A name is compared behind the handshake, which may have
// gone well.
const met = (said, options) =>
    said.tls_handshakes_failed + (options ? said.tls_connections_total : 0);
const other = { 'grpc.ssl_target_name_override': 'wrong.example' };

// What, the cell, the credentials, the channel's options.  The words are those of Node.
for (const [what, cell, credentials, options] of [
    ['a certificate for somebody else', 'tls', () => trusting(), other],
    ['an unknown authority', 'tls', () => grpc.credentials.createSsl(file('other-ca.pem'))],
    ['no certificate of the client', 'mtls', () => trusting()],
    ["an unknown authority of the client's", 'mtls', () => showing('stranger')],
    ['a client of TLS 1.1', 'tls', old],
    ['plain text to a port with TLS', 'tls'],
    ['TLS to a port in plain text', 'h2c', () => trusting()],
]) {
    test(`${what} is UNAVAILABLE, and the server serves on`, async () => {
        const good = known[cell](witness[cell]);
        const before = await seen(good);
        const bad = connect(witness[cell], options ?? {}, credentials?.());
        const got = await collect(post(bad, 'mirror'));
        ends(got, 'UNAVAILABLE');
        assert.strictEqual(got.messages.length, 0);
        bad.close();
        if (cell !== 'h2c')
            await until(good, (now) => met(now, options) > met(before, options));
        assert.strictEqual((await collect(post(good, 'mirror'))).messages.length, 1);
        good.close();
    });
}

test('a certificate that expired is UNAVAILABLE', async () => {
    const bad = connect(process.env.CHANSERV_EXPIRED, {}, trusting());
    ends(await collect(post(bad, 'gen')), 'UNAVAILABLE');
    bad.close();
});
