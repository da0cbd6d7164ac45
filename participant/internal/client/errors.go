package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tributary/protocol/pb"
)

// Sentinels of the decisions that a caller takes.
var (
	// ErrUnreachable: no answer; the same call may succeed later.
	ErrUnreachable = errors.New("the coordinator can't be reached")
	// ErrUnauthorised: the coordinator doesn't know, or no longer admits, this certificate or token.
	ErrUnauthorised = errors.New("the coordinator doesn't admit this node")
	// ErrRefused: the coordinator understood and said no.
	ErrRefused = errors.New("the coordinator refused")
	// ErrInvalid: the coordinator couldn't use what it was sent.
	ErrInvalid = errors.New("the coordinator found the request invalid")
	// ErrNotFound: there is no such thing at the coordinator.
	ErrNotFound = errors.New("the coordinator doesn't have it")
	// ErrAnswer: the coordinator's answer breaks the protocol.
	ErrAnswer = errors.New("the coordinator's answer breaks the protocol")
)

// Error is a refused call, with what the coordinator said of it.
type Error struct {
	Status  codes.Code
	Code    string // the service's own
	Field   string
	Message string
	Hint    string
}

func (e *Error) Error() string { return e.Message }

// Is maps the status to a sentinel.
func (e *Error) Is(target error) bool {
	switch e.Status {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted:
		return target == ErrUnreachable
	case codes.Unauthenticated:
		return target == ErrUnauthorised
	case codes.PermissionDenied, codes.FailedPrecondition, codes.AlreadyExists:
		return target == ErrRefused
	case codes.InvalidArgument, codes.OutOfRange:
		return target == ErrInvalid
	case codes.NotFound:
		return target == ErrNotFound
	}
	return false
}

// typed turns a call's error into *Error, a pinning error of package invite, or the context's own.
func typed(ctx context.Context, p *pin, what string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Canceled
	}
	if errors.Is(err, ErrAnswer) {
		return fmt.Errorf("%s: %w", what, err)
	}
	s := status.Convert(err)
	if s.Code() == codes.Unavailable {
		if pinned := p.failure(); pinned != nil {
			return fmt.Errorf("%s: %w", what, pinned)
		}
		if strings.Contains(s.Message(), "remote error: tls:") {
			return fmt.Errorf("%s: %w", what, &Error{Status: codes.Unauthenticated, Code: "certificate", Message: "the coordinator refused this node's certificate: " + s.Message(),
				Hint: "it may have expired or been revoked: ask the coordinator's operator for a new invitation and enrol again"})
		}
	}
	e := &Error{Status: s.Code(), Code: s.Code().String(), Message: s.Message()}
	for _, detail := range s.Details() {
		if d, ok := detail.(*pb.Error); ok {
			e.Code, e.Field, e.Message, e.Hint = d.Code, d.Field, d.Message, d.Hint
		}
	}
	if e.Status == codes.Unavailable && e.Hint == "" {
		e.Hint = "check the address, the network and that the coordinator runs"
	}
	return fmt.Errorf("%s: %w", what, e)
}

func answer(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrAnswer}, args...)...)
}
