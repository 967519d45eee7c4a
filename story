mux/call.c:120:            cs_story(&stream->story, "unknown method %.*s",
mux/call.c:184:        refuse(stream, CS_ENOTSUP, stream->story);
mux/call.c:209:    if (code != 0 && stream->story) {
mux/call.c:213:                            cs_bytes_of(text, wire_percent_encode(text, cs_str(stream->story))),
mux/call.c:288:        cs_free(stream->story);
mux/call.c:289:        stream->story = text;
mux/call.c:302:    cs_free(stream->story);
mux/call.c:303:    stream->story = NULL;
mux/call.c:334:        const char *words = stream->story && *stream->story ? stream->story : cs_strerror(why);
mux/call.c:338:                cs_free(stream->story);
mux/call.c:339:                stream->story = story;
mux/call.c:344:        cs_story(&stream->story, "the server answered HTTP status %u", stream->http_status);
mux/call.c:346:        cs_story(&stream->story, "the stream ended without a status");
mux/call.c:381:        cs_story(&stream->story,
mux/call.c:384:        cs_story(&stream->story, "the server reset the stream: %s",
mux/lasting.c:277:    if (story && story != stream->story)
mux/lasting.c:278:        cs_story(&stream->story, "%s", story);
mux/lasting.c:443:    cs_free(stream->story);
mux/lasting.c:444:    stream->story = NULL;
mux/stream.c:106:    cs_free(stream->story);
mux/stream.c:131:    cs_story(&stream->story, "the stream ended in the middle of a message");
mux/stream.c:180:    if (story && story != stream->story)
mux/stream.c:181:        cs_story(&stream->story, "%s", story);
mux/stream.c:273:            cs_story(&stream->story, "%s", message ? message : cs_strerror(status));
mux/stream.c:294:    cs_story(&stream->story, "%s", message ? message : cs_strerror(stream->status));
mux/stream.c:476:    return stream->story ? stream->story : cs_strerror(stream->why);
mux/unary.c:37:    cs_free(call->story);
mux/unary.c:52:    over(call, call->why, call->story ? call->story : cs_strerror(call->why));
mux/unary.c:110:    cs_free(call->story);
mux/unary.c:111:    call->story = NULL;
mux/unary.c:129:            cs_story(&call->story, "the server answered several messages, and not one");
mux/unary.c:146:        cs_story(&call->story, "the server answered no message");
mux/unary.c:148:    over(call, why == CS_DONE ? CS_OK : why, call->story ? call->story : mux_stream_errmsg(stream));
