# docs: the manual is written in scdoc's way and needs scdoc to be made.
if HAVE_SCDOC
man_MANS = docs/man/chanserv.1
CLEANFILES += docs/man/chanserv.1
docs/man/chanserv.1: docs/man/chanserv.1.scd
	$(AM_V_GEN)$(MKDIR_P) docs/man && $(SCDOC) < $(srcdir)/docs/man/chanserv.1.scd > $@.tmp && \
		mv $@.tmp $@
endif
