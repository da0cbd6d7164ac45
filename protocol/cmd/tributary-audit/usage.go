package main

const usage = `Usage:
  tributary-audit verify  FILE|FOLDER [--witnesses N] [--coordinator KEY] [--output text|json]
  tributary-audit report  FILE|FOLDER [--format text|json|csv|html|pdf] [--member NAME] [--out FILE]
  tributary-audit explain FILE RELEASE [--output text|json]
  tributary-audit diff    FILE1 FILE2 [--output text|json]
  tributary-audit show    FILE

FILE is an exported ledger (tributary ledger export FILE). verify and report also take a folder: of all exports in
it (*.jsonl) each must be the start of the longest, and members' own records (*.own, tributary-participant ledger
export FILE) must be in it: what a member saw and signed can't be dropped or forked. RELEASE is the number of an entry
or the first digits, at least 6, of a release's digest. Every command first verifies what it reads and says so if it
doesn't hold.

verify   checks the root, the checkpoint's signature, every entry's signature, and the rules: charters follow each
         other, jobs are proposed and approved as the charter allows, rounds are planned from the state that the last
         sum gave and under this ledger, each sum is opened once, in order, over the roster that it should be, every
         charge is what the job's noise costs, and no account is overspent; says which members cosigned the
         checkpoint: with --witnesses N at least N must have
report   says per member and account what was allowed, spent and opened; html is one page that prints well,
         pdf the same on A4 pages (with --out FILE)
explain  says in plain words what one release opened, who was in it, who opened it, and with which noise
diff     says whether one ledger goes on from the other, and what is new; or where they fork
show     prints the entries

--coordinator KEY (any command) gives the key that must have signed, 64 hexadecimal digits; without it the first
charter's is believed, so compare that charter's phrase with the one that operators accepted.

Exit codes: 0 verified, 1 internal error, 2 usage or a file that can't be read or written, 3 not verified or a fork.
`
