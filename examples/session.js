// Posts and prints like consumer.js, and goes on when its connection breaks: every frame comes once
// and in order, and the service's function runs once.  docs/WIRE has the rules ("Sessions").
//     node session.js localhost:5555 SERVICE BODY
// Left out: uplinks, frames inside announcements (it does not ask for them), deadlines.
const { randomBytes } = require('crypto');
const { EventEmitter, once } = require('events');
const { setTimeout: pause } = require('timers/promises');
const grpc = require('@grpc/grpc-js');
const proto = require('@grpc/proto-loader').loadSync(
    `${__dirname}/../proto/chanserv.proto`, { longs: Number });
const { Chanserv } = grpc.loadPackageDefinition(proto).chanserv.v1;

const { CANCELLED, INTERNAL, UNAVAILABLE, UNKNOWN } = grpc.status;
const options = {
    'grpc.keepalive_time_ms': 20000, // notices a peer that went without a word
    'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 5000,
};

// Did the stream end, and not what it carries?  A status that the server made has a reason: of a
// channel these two say that our request is of an attempt that is not the session's, and of the
// Session call another one that it is to move to another connection.
const late = ['superseded', 'no-session'], moves = ['draining'];
function broke({ code, metadata }, reasons) {
    const [reason] = metadata?.get('chanserv-reason') ?? [];
    if (reason) return reasons.includes(reason);
    return [CANCELLED, INTERNAL, UNAVAILABLE, UNKNOWN].includes(code);
}

class Session {
    #server; #call = null; // the Session call, while it stands
    #id; #attempt = 0; #numbers = 0; // of channels: each has one, never used twice
    #acks = new Map(); #dones = [];
    #over = null; #changed = new EventEmitter().setMaxListeners(0);

    constructor(addr) {
        this.#server = new Chanserv(addr, grpc.credentials.createInsecure(), options);
        this.#hold();
    }

    // Until close(): a Session call, and when it breaks the next attempt.
    async #hold() {
        let linger = 30000, since = Date.now();
        for (let known = false; !this.#over; this.#attempt += 1) {
            if (!known) [this.#id, this.#attempt] = [randomBytes(16), 1]; // nothing is of it yet
            const call = this.#server.Session();
            call.write({ session: this.#id, attempt: this.#attempt });
            try {
                for await (const { lingerMs } of call) { // the first message: it stands
                    if (!known) linger = lingerMs;
                    known = true;
                    if (!this.#call) this.#stands(call);
                }
            } catch (error) { // the server does not know it any more: "lost"
                if (this.#call) since = Date.now();
                if (!broke(error, moves) || Date.now() > since + linger) this.#over ??= error;
            }
            this.#call = null;
            this.#changed.emit('change');
            if (!this.#over) await pause(50);
        }
    }

    // What was said last may be lost with the call before.  (An `ack` that is makes no difference.)
    #stands(call) {
        this.#call = call;
        for (const number of this.#dones) this.#say({ number, done: true });
        this.#flush();
        this.#changed.emit('change');
    }

    async #standing() {
        while (!this.#call) {
            if (this.#over) throw this.#over;
            await once(this.#changed, 'change');
        }
    }

    // Said together with all that comes at about the same time.
    #say(ack) {
        const { skip = [], ...before } = this.#acks.get(ack.number) ?? {};
        if (this.#acks.size === 0) setTimeout(() => this.#flush(), 10);
        this.#acks.set(ack.number, { ...before, ...ack, skip: [...skip, ...ack.skip ?? []] });
    }

    #flush() {
        if (!this.#call) return; // the next one says it
        const acks = [...this.#acks.values()];
        this.#acks.clear();
        while (acks.length > 0) this.#call.write({ acks: acks.splice(0, 200) });
    }

    // Nobody confirms it, so the last ones are said again when a call has broken.
    #done(number, reason) {
        this.#dones = [...this.#dones.slice(-999), number];
        this.#say({ number, done: true, reason });
    }

    // The messages of a channel, over any number of streams.  `open` begins or goes on at `from`.
    async *#messages(number, open) {
        for (let from = 0, attempt = 0, tries = 0; ;) {
            await this.#standing();
            if (attempt !== this.#attempt) [attempt, tries] = [this.#attempt, 0];
            if (from > 0) this.#say({ number, next: from }); // perhaps it was lost, and is waited for
            const call = open({ session: this.#id, attempt, number }, from);
            call.on('error', () => {}); // is told below, or nobody listens any more
            try {
                for await (const message of call) {
                    const counts = message.payload || message.ticket; // a heartbeat does not
                    from += message.gap?.count ?? (counts ? 1 : 0);
                    this.#say({ number, next: from });
                    tries = 0;
                    yield message;
                }
                return;
            } catch (error) { // one that breaks alone, again and again, is no accident
                if (!broke(error, late) || (tries += 1) > 3) throw error;
                await pause(50 * tries);
            }
        }
    }

    // Yields what is announced; each is to be read, by read(), or skipped.
    async *post(service, body = '') {
        const number = this.#numbers += 1, unread = new Set();
        let ended = false; // then it is done when all are read: it takes with it what is not open
        const settle = (source) => {
            unread.delete(source);
            if (ended && unread.size === 0) this.#done(number);
        };
        const open = (channel, from) =>
            this.#server.Post({ service, body: Buffer.from(body), from, channel });
        try {
            for await (const { seq = 0, header, ticket } of this.#messages(number, open)) {
                const skip = () => settle(source, this.#say({ number, skip: [seq] }));
                const source = { header, read: () => this.#read(ticket, () => settle(source)), skip };
                unread.add(source);
                yield source;
            }
            ended = true;
            settle();
        } finally {
            if (!ended) this.#done(number, 'the reader left');
        }
    }

    // Yields the frames of a source.
    async *#read(ticket, over) {
        const number = this.#numbers += 1;
        const open = (channel, from) => this.#server.Open({ ticket, from, channel });
        let parts = []; // of a large frame; they stay when the connection does not
        try {
            for await (const { payload, more } of this.#messages(number, open)) {
                if (payload) parts.push(payload);
                if (!payload || more) continue;
                yield Buffer.concat(parts);
                parts = [];
            }
        } finally {
            this.#done(number, 'the reader left');
            over();
        }
    }

    // Good-bye: what is still open ends.
    async close() {
        this.#flush();
        this.#over ??= new Error('the session is closed');
        this.#call?.end();
        while (this.#call) await once(this.#changed, 'change');
        this.#server.close();
    }
}

function fail(error) {
    console.error(error.message);
    process.exitCode = 1;
}

async function print({ header, read }) {
    for await (const frame of read()) console.log(`${header}: ${frame}`);
}

async function main(addr, service, body) {
    const session = new Session(addr), readers = [];
    try {
        for await (const source of session.post(service, body))
            readers.push(print(source).catch(fail)); // at once, each at its own pace
    } catch (error) {
        fail(error);
    }
    await Promise.all(readers);
    await session.close();
}

main(...process.argv.slice(2));
