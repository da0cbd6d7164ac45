package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"tributary/crypto/dp/accountant"
	"tributary/models/score"
	"tributary/participant/internal/client"
	"tributary/participant/internal/config"
	"tributary/participant/internal/scoring"
	"tributary/participant/internal/source"
	"tributary/participant/internal/store"
	"tributary/protocol/charter"
	"tributary/protocol/invite"
	"tributary/protocol/round"
)

// failure is an error as a person or a script sees it.
type failure struct {
	Exit    int    `json:"-"`
	Code    string `json:"code"`
	Field   string `json:"field"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

func (f *failure) Error() string { return f.Message }

// tell prints the error and returns its exit code.
func (a *app) tell(err error) int {
	f := explain(err)
	if a.output == "json" {
		data, _ := json.Marshal(map[string]*failure{"error": f})
		fmt.Fprintf(a.out, "%s\n", data)
		return f.Exit
	}
	fmt.Fprintf(a.err, "tributary: %s\n", f.Message)
	if f.Hint != "" {
		fmt.Fprintf(a.err, "hint: %s\n", f.Hint)
	}
	return f.Exit
}

// explain finds the exit code and the remedy.
func explain(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	f = &failure{Exit: exitInternal, Code: "internal"}
	f.Message, f.Hint = splitHint(err.Error())
	as := func(exit int, code, hint string) *failure {
		f.Exit, f.Code = exit, code
		if f.Hint == "" {
			f.Hint = hint
		}
		return f
	}
	var remote *client.Error
	if errors.As(err, &remote) {
		f.Code, f.Field, f.Hint = remote.Code, remote.Field, remote.Hint
		for sentinel, exit := range map[error]int{client.ErrUnreachable: exitUnreachable, client.ErrUnauthorised: exitUnauthorised,
			client.ErrRefused: exitRefused, client.ErrInvalid: exitUsage, client.ErrNotFound: exitUsage} {
			if errors.Is(err, sentinel) {
				f.Exit = exit
			}
		}
		return f
	}
	var problems *config.Problems
	var refused *round.Refused
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.As(err, &problems):
		f.Message, f.Hint = err.Error(), ""
		return as(exitUsage, "config", "")
	case errors.As(err, &refused):
		return as(exitRefused, string(refused.Rule), refused.Hint)
	case is(invite.ErrWrongCA, invite.ErrServerCertificate):
		return as(exitUnauthorised, "wrong-authority", "check the address; ask the coordinator's operator for a new invitation if its authority changed")
	case is(invite.ErrChecksum, invite.ErrMalformed, invite.ErrVersion):
		return as(exitUsage, "token", "copy the whole line that `tributary participant invite` printed")
	case is(client.ErrNotEnrolled):
		return as(exitUnauthorised, "not-enrolled", "run `tributary-participant enroll --token TOKEN` with the invitation from the coordinator's operator")
	case is(client.ErrAnswer):
		return as(exitRefused, "protocol", "the coordinator runs another version, or isn't what it says")
	case is(store.ErrLocked):
		return as(exitRefused, "locked", "stop the other `tributary-participant run` first")
	case is(store.ErrPermissions):
		return as(exitUsage, "data-dir", "set data_dir to a folder that this user may write, with mode 0700")
	case is(store.ErrDecided):
		return as(exitRefused, "decided", "`tributary-participant jobs` shows what waits")
	case is(store.ErrAccountExists):
		return as(exitRefused, "account-exists", "an account stays for ever; `tributary-participant budget refill` adds to it, an operator's act")
	case is(store.ErrExactJob):
		return as(exitRefused, "exact-job", "wait until it is over, or ask the coordinator's operator to cancel it")
	case is(store.ErrNoAccount):
		return as(exitUsage, "no-account", "`tributary-participant budget open` opens one")
	case is(store.ErrDamaged):
		return as(exitInternal, "damaged-account", "")
	case is(accountant.ErrCap):
		return as(exitUsage, "cap", "")
	case is(charter.ErrInvalid):
		return as(exitRefused, "charter", "compare with the other operators before anything else")
	case is(source.ErrBinding, source.ErrHeader, source.ErrEmpty, source.ErrInvalid):
		f.Message, f.Hint = err.Error(), ""
		return as(exitUsage, "data", "")
	case is(score.ErrModel):
		return as(exitUsage, "model", "export it again with `tributary model export`")
	case is(scoring.ErrUse):
		return as(exitUsage, "usage", "")
	case is(fs.ErrNotExist):
		return as(exitUsage, "not-found", "give the right path; those of flags start at the current folder, the config's at its own")
	case is(fs.ErrPermission):
		return as(exitUsage, "permission", "run as the user that owns the file")
	case is(context.Canceled):
		return as(exitInterrupted, "interrupted", "")
	}
	return f
}

// splitHint takes the remedy out of a message that carries one at its end.
func splitHint(message string) (text, hint string) {
	if before, after, ok := strings.Cut(message, "\nhint: "); ok && !strings.Contains(after, "\n") {
		return before, after
	}
	if at := strings.LastIndex(message, " (hint: "); at >= 0 {
		if end := strings.Index(message[at:], ")"); end == len(message)-at-1 {
			return message[:at], message[at+len(" (hint: ") : len(message)-1]
		}
	}
	return message, ""
}
