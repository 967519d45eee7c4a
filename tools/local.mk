# tools: chanserv(1), linked as users link.
bin_PROGRAMS += tools/chanserv
# files: tools/*.c tools/*.h
tools_chanserv_SOURCES = \
	tools/gen.h \
	tools/json.c \
	tools/json.h \
	tools/kind.h \
	tools/kind_echo.c \
	tools/kind_gen.c \
	tools/main.c \
	tools/options.c \
	tools/post.c \
	tools/print.c \
	tools/print.h \
	tools/serve.c \
	tools/status.c \
	tools/tool.h
