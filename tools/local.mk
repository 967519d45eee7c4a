# tools: chanserv(1).
# files: tools/*.c tools/*.h
tools_chanserv_SOURCES =
