# docs: the manual is written in scdoc's way and needs scdoc to be made.
if HAVE_SCDOC
man_MANS = docs/man/chanserv.1 docs/man/chanserv.conf.5 docs/man/chanserv.7
CLEANFILES += $(man_MANS)
docs/man/chanserv.1: docs/man/chanserv.1.scd
docs/man/chanserv.conf.5: docs/man/chanserv.conf.5.scd
docs/man/chanserv.7: docs/man/chanserv.7.scd
$(man_MANS):
	$(AM_V_GEN)$(MKDIR_P) docs/man && $(SCDOC) < $(srcdir)/$@.scd > $@.tmp && mv $@.tmp $@
endif
