package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tributary/coordinator/internal/ca"
	"tributary/coordinator/internal/store"
	"tributary/protocol/invite"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
)

// The exit codes.
const (
	exitInternal     = 1
	exitUsage        = 2
	exitRefused      = 3
	exitAborted      = 4
	exitUnreachable  = 5
	exitUnauthorised = 6
	exitInterrupted  = 130
)

// failure is an error as it is printed, with the exit code.
type failure struct {
	exit    int
	Code    string `json:"code"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`

	problems []problem // of a job's files
}

func (f *failure) Error() string { return f.Message }

func usage(c *cobra.Command, format string, args ...any) error {
	return &failure{exit: exitUsage, Code: "usage", Message: fmt.Sprintf(format, args...), Hint: "`" + c.CommandPath() + " --help` shows how it is used."}
}

func invalid(hint, format string, args ...any) error {
	return &failure{exit: exitUsage, Code: "invalid", Message: fmt.Sprintf(format, args...), Hint: hint}
}

// report prints an error and returns its exit code.
func (a *app) report(err error) int {
	f := explain(err)
	if a.json {
		document := map[string]any{"error": f}
		if len(f.problems) > 0 {
			document["problems"] = f.problems
		}
		if err := a.print(document, nil); err != nil {
			return exitInternal
		}
		return f.exit
	}
	for _, p := range f.problems {
		path := ""
		if p.Path != "" {
			path = p.Path + ": "
		}
		fmt.Fprintf(a.Err, "%s:%d:%d: %s%s\n", p.File, p.Line, p.Column, path, p.Message)
		if p.Hint != "" {
			fmt.Fprintf(a.Err, "hint: %s\n", p.Hint)
		}
	}
	fmt.Fprintf(a.Err, "tributary: %s\n", f.Message)
	if f.Hint != "" {
		fmt.Fprintf(a.Err, "hint: %s\n", f.Hint)
	}
	return f.exit
}

// explain finds message, hint and exit code of any error.
func explain(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	if s, ok := status.FromError(err); ok {
		return fromStatus(s)
	}
	message, hint := splitHint(err.Error())
	f = &failure{exit: exitInternal, Code: "internal", Message: message, Hint: hint}
	switch {
	case errors.Is(err, invite.ErrMalformed), errors.Is(err, invite.ErrChecksum), errors.Is(err, invite.ErrVersion):
		f.exit, f.Code = exitUsage, "token"
	case errors.Is(err, ca.ErrSubject), errors.Is(err, ca.ErrExists), errors.Is(err, ca.ErrStorage), errors.Is(err, store.ErrSchema):
		f.exit, f.Code = exitUsage, "invalid"
	case errors.Is(err, ledger.ErrSignature), errors.Is(err, ledger.ErrTampered):
		f.exit, f.Code = exitRefused, "ledger"
	case errors.Is(err, context.DeadlineExceeded):
		f.exit, f.Code = exitUnreachable, "deadline"
	case strings.HasPrefix(message, "unknown command"):
		f.exit, f.Code, f.Hint = exitUsage, "usage", "`tributary --help` lists the commands."
	}
	return f
}

func fromStatus(s *status.Status) *failure {
	f := &failure{exit: exitInternal, Code: strings.ToLower(s.Code().String())}
	f.Message, f.Hint = splitHint(s.Message())
	for _, d := range s.Details() {
		if e, ok := d.(*pb.Error); ok {
			f.Code, f.Field, f.Message, f.Hint = e.GetCode(), e.GetField(), e.GetMessage(), e.GetHint()
		}
	}
	switch s.Code() {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.OutOfRange:
		f.exit = exitUsage
	case codes.PermissionDenied, codes.FailedPrecondition, codes.ResourceExhausted:
		f.exit = exitRefused
	case codes.Unauthenticated:
		f.exit = exitUnauthorised
	case codes.DeadlineExceeded:
		f.exit = exitUnreachable
	case codes.Canceled:
		f.exit = exitInterrupted
	case codes.Unavailable:
		return unavailable(s, f)
	}
	return f
}

// unavailable tells a coordinator that isn't there from one that isn't the right one, or doesn't accept the certificate.
func unavailable(s *status.Status, f *failure) *failure {
	f.exit, f.Code = exitUnreachable, "unreachable"
	text := s.Message()
	switch {
	case strings.Contains(text, invite.ErrWrongCA.Error()), strings.Contains(text, invite.ErrServerCertificate.Error()):
		f.exit, f.Code = exitUnauthorised, "wrong-ca"
		if i := strings.Index(text, "the server's certificate"); i >= 0 {
			f.Message, f.Hint = splitHint(strings.Trim(text[i:], `"`))
		}
	case strings.Contains(text, "remote error: tls:"):
		f.exit, f.Code = exitUnauthorised, "certificate"
		f.Message, f.Hint = "the coordinator doesn't accept this certificate", "It may have expired: ask for a new invitation with `tributary user invite` and log in again."
	case len(s.Details()) == 0:
		f.Message, f.Hint = "the coordinator can't be reached: "+text, "Is `tributary serve` running, and is the address right?"
	}
	return f
}

// splitHint takes the hint out of a message: "… (hint: …)" at its end, or a line of its own.
func splitHint(message string) (text, hint string) {
	if before, after, found := strings.Cut(message, "\nhint: "); found {
		return before, after
	}
	before, after, found := strings.Cut(message, " (hint: ")
	if !found {
		return message, ""
	}
	hint, rest, _ := strings.Cut(after, ")")
	return before + rest, hint
}
