// The stock grpc-web in Chromium, in a page of another origin: any method, each frame, and what goes wrong.
// Its messages are protobufjs's, of the .proto files alone.  A part of browser.js.
'use strict';
const fs = require('fs');
const path = require('path');
const { base, listed } = require('./chromium');
const { genFrame } = require('./gen');
const { assert, test } = require('./kit');
const { at } = require('./site');

const source = (file) => fs.readFileSync(require.resolve(file), 'utf8');
const health = path.join(path.dirname(process.env.CHANSERV_PROTO), 'grpc/health/v1/health.proto');

// In the page: what a bundler and a generator of stubs would have left there.
async function stubs(page) {
    await page.addScriptTag({ content: source('protobufjs/dist/protobuf.min.js') });
    await page.addScriptTag({
        content: `var grpcweb = {}; ((exports, module) => { ${source('grpc-web')}\n })(grpcweb, {});`,
    });
    await page.evaluate(([url, protos]) => {
        const types = new protobuf.Root();
        for (const text of protos) protobuf.parse(text, types, { keepCase: true });
        const method = (name, kind, from, to) => new grpcweb.MethodDescriptor(name, kind, Object, Object,
            (message) => types.lookupType(from).encode(message).finish(),
            (bytes) => types.lookupType(to).decode(bytes));
        const v1 = 'chanserv.v1.';
        const methods = {
            Post: method('/chanserv.v1.Chanserv/Post', 'server_streaming', `${v1}PostRequest`, `${v1}Announcement`),
            Open: method('/chanserv.v1.Chanserv/Open', 'server_streaming', `${v1}OpenRequest`, `${v1}Frame`),
            Check: method('/grpc.health.v1.Health/Check', 'unary', 'grpc.health.v1.HealthCheckRequest',
                'grpc.health.v1.HealthCheckResponse'),
        };
        // A call, and what came of it when it has ended, or when `enough` says so.
        window.stream = (format, name, request, metadata = {}, enough = () => false) => new Promise((done) => {
            const client = new grpcweb.GrpcWebClientBase({ format });
            const call = client.serverStreaming(url + methods[name].name, request, metadata, methods[name]);
            const got = { messages: [], metadata: null, status: null, error: null };
            call.on('metadata', (said) => { got.metadata = said; });
            call.on('data', (message) => {
                got.messages.push(message);
                if (!enough(got.messages.length)) return;
                call.cancel();
                done(got);
            });
            call.on('status', (status) => { got.status = status; });
            call.on('error', ({ code, message }) => { got.error = { code, message }; done(got); });
            call.on('end', () => done(got));
        });
        window.unary = (name, request) => new grpcweb.GrpcWebClientBase({ format: 'binary' })
            .unaryCall(url + methods[name].name, request, {}, methods[name]);
        window.post = (format, service, body, metadata) =>
            window.stream(format, 'Post', { service, body: new TextEncoder().encode(body) }, metadata);
        window.base64 = (bytes) => btoa(String.fromCharCode(...bytes));
    }, [base, [source(process.env.CHANSERV_PROTO), source(health)]]);
    return page;
}

const there = async (origin = listed) => stubs(await at(origin));

async function readAll(format) {
    const page = await there();
    const got = await page.evaluate(async (how) => {
        const { messages, status, metadata } = await window.post(how, 'gen', 'sources=5&frames=100&size=3001');
        const sources = await Promise.all(messages.map(({ ticket }) => window.stream(how, 'Open', { ticket })));
        return {
            headers: messages.map(({ header }) => new TextDecoder().decode(header)),
            instance: metadata['chanserv-instance'],
            codes: [status, ...sources.map((each) => each.status)].map(({ code }) => code),
            frames: sources.map((each) => each.messages.map(({ payload }) => window.base64(payload))),
        };
    }, format);
    const all = [0, 1, 2, 3, 4];
    assert.deepStrictEqual(got.headers, all.map((i) => `source @${i}`));
    assert.match(got.instance, /^[0-9a-f]{16}$/);
    assert.deepStrictEqual(got.codes, [0, 0, 0, 0, 0, 0]);
    assert.deepStrictEqual(got.frames, all.map((i) =>
        [...Array(100).keys()].map((j) => genFrame(i, j, 3001).toString('base64'))));
    await page.close();
}

test('grpc-web: a post and all its sources, in base64, each frame in its place', () => readAll('text'));
test('grpc-web: the same in bytes', () => readAll('binary'));

test('grpc-web: a method of another service', async () => {
    const page = await there();
    const status = await page.evaluate(async () => (await window.unary('Check', { service: '' })).status);
    assert.strictEqual(status, 1); // SERVING
    await page.close();
});

const counters = async () => (await (await fetch(`${base}/v1/stat`)).json()).counters;

test('grpc-web: frames come as they are made, and who cancels takes his source along', async () => {
    const page = await there();
    const before = (await counters()).readers_left;
    const seen = await page.evaluate(async () => {
        const { messages: [{ ticket }] } = await window.post('text', 'gen', 'sources=1&frames=1000000&size=16&delay_ms=5');
        const got = await window.stream('text', 'Open', { ticket }, {}, (n) => n >= 3);
        return [got.messages.length, got.error];
    });
    assert.ok(seen[0] >= 3 && seen[0] < 1000, `${seen}`);
    assert.strictEqual(seen[1], null);
    while ((await counters()).readers_left === before); // until it is noticed
    await page.close();
});

test('grpc-web: an error is a code, words and a reason; a deadline another', async () => {
    const page = await there();
    const got = await page.evaluate(async () => {
        const all = [];
        for (const format of ['text', 'binary']) {
            const { error, status } = await window.post(format, 'nobody', '');
            all.push([error.code, error.message, status.metadata['chanserv-reason']]);
        }
        const { messages: [{ ticket }] } = await window.post('text', 'gen', 'sources=1&frames=1000000&size=16&delay_ms=50');
        const { messages, error } = await window.stream('text', 'Open', { ticket }, { deadline: Date.now() + 500 });
        all.push([error.code, messages.length > 0]);
        return all;
    });
    const nobody = [5, 'no such service', 'no-service'];
    assert.deepStrictEqual(got, [nobody, nobody, [4, true]]);
    await page.close();
});

test('grpc-web: a page of an origin that is not listed hears nothing, and does nothing', async () => {
    const page = await there(listed.replace('//app.', '//evil.'));
    const before = (await counters()).posts_total;
    const got = await page.evaluate(() => window.post('text', 'gen', 'sources=1'));
    assert.deepStrictEqual([got.messages, got.metadata], [[], {}]);
    assert.notStrictEqual(got.error.code, 0);
    assert.strictEqual((await counters()).posts_total, before);
    await page.close();
});
