// What the cases share: a client made of the .proto file alone, and a runner that prints a line a
// case.  Nothing here is chanserv's own code.
'use strict';
const assert = require('assert');
const { once } = require('events');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const proto = loader.loadSync(process.env.CHANSERV_PROTO, { oneofs: true });
const { Chanserv } = grpc.loadPackageDefinition(proto).chanserv.v1;
const code = grpc.status;

function connect(addr, options, credentials = grpc.credentials.createInsecure()) {
    // Channels to one address share their connections unless they are told not to.
    return new Chanserv(addr, credentials, { 'grpc.use_local_subchannel_pool': 1, ...options });
}

// A call that nobody iterates over: its messages are collected, its end awaited.
function collect(call) {
    return new Promise((resolve) => {
        const got = { messages: [], metadata: null };
        call.on('metadata', (metadata) => { got.metadata = metadata; });
        call.on('data', (message) => got.messages.push(message));
        call.on('error', () => {}); // the status says it, too
        call.on('status', (status) => resolve(Object.assign(got, { status })));
    });
}

function post(client, service, body = '', more = {}) {
    const { metadata, options, ...request } = more;
    return client.Post({ service, body: Buffer.from(body), ...request },
        metadata || new grpc.Metadata(), options || {});
}

// The announcements of a post that ends by itself, and well.
async function announced(client, service, body) {
    const { messages, status } = await collect(post(client, service, body));
    assert.strictEqual(status.code, code.OK, status.details);
    return messages;
}

const open = (client, source, options = {}) => client.Open({ ticket: source.ticket }, options);
const reason = (status) => String(status.metadata.get('chanserv-reason')[0] ?? '');

function ends(got, wanted, why = '') {
    assert.strictEqual(code[got.status.code], wanted, got.status.details);
    assert.strictEqual(reason(got.status), why);
}

// The next message of a call, and no more: the rest stays where it is.
async function one(call) {
    for (;;) {
        const message = call.read();
        if (message) return message;
        await once(call, 'readable'); // or its error
    }
}

// Whole frames of a source out of their messages.
async function frames(call) {
    const whole = [];
    let parts = [];
    for await (const { payload, more } of call) {
        parts.push(payload);
        if (!more) {
            whole.push(Buffer.concat(parts));
            parts = [];
        }
    }
    assert.strictEqual(parts.length, 0, 'the last frame has no end');
    return whole;
}

// What the server says it saw: {name: number}; `pulled` is of the well that is named.
async function seen(client, well = '') {
    const [source] = await announced(client, 'seen', String(well));
    const said = {};
    for (const line of await frames(open(client, source))) {
        const [name, value] = line.toString().split(' ');
        said[name] = Number(value);
    }
    return said;
}

// The server learns of a cancel some time after we sent it: ask until it has.
async function until(client, holds) {
    for (;;) {
        const said = await seen(client);
        if (holds(said)) return said;
    }
}

const cases = [];
const test = (name, fn, seconds = 20) => cases.push({ name, fn, seconds });

async function run() {
    let failed = 0;
    process.on('unhandledRejection', (error) => {
        console.log(`FAIL javascript: nobody awaited: ${error.stack}`);
        process.exit(3);
    });
    const only = process.argv[2] ?? '';
    for (const { name, fn, seconds } of cases.filter((each) => each.name.includes(only))) {
        let timer;
        const late = new Promise((_, reject) => {
            timer = setTimeout(() => reject(new Error(`${seconds} s have passed`)), seconds * 1000);
        });
        const running = fn();
        running.catch(() => {}); // when it fails after its time it has failed already
        try {
            await Promise.race([running, late]);
            console.log(`ok javascript: ${name}`);
        } catch (error) {
            failed += 1;
            console.log(`FAIL javascript: ${name}: ${String(error.stack).replace(/\n/g, '\n    ')}`);
        }
        clearTimeout(timer);
    }
    process.exit(failed ? 3 : 0); // 3: a line says what failed
}

module.exports = {
    announced, assert, code, collect, connect, ends, frames, grpc, one, open, post, reason, run,
    seen, test, until,
};
