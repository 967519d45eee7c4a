// The bytes of a frame of the service "gen", computed here a second time (see tools/gen.h).
'use strict';

function genFrame(i, j, size) {
    const seed = (Math.imul(i + 1, 0x9E3779B1) ^ Math.imul(j + 1, 0x85EBCA77)) | 0;
    const padded = Buffer.alloc(Math.ceil(size / 4) * 4);
    for (let o = 0; o < padded.length; o += 4) {
        const word = Math.imul(seed ^ (o / 4), 0x27D4EB2F);
        padded.writeUInt32LE((word ^ (word >>> 15)) >>> 0, o);
    }
    padded.write(`${i}:${j}:`);
    return padded.subarray(0, size);
}

module.exports = { genFrame };
