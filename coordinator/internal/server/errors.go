package server

import (
	"context"
	"errors"
	"strings"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tributary/coordinator/internal/ca"
	"tributary/coordinator/internal/engine"
	"tributary/coordinator/internal/store"
	"tributary/crypto/secagg"
	"tributary/protocol/charter"
	"tributary/protocol/invite"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

var classes = map[engine.Class]codes.Code{
	engine.Invalid: codes.InvalidArgument, engine.Missing: codes.NotFound, engine.Denied: codes.PermissionDenied,
	engine.Precondition: codes.FailedPrecondition, engine.Busy: codes.Unavailable, engine.Unauthorised: codes.Unauthenticated,
}

// sentinels says how the packages' own errors are answered; the first that fits counts.
var sentinels = []struct {
	err  error
	code codes.Code
	name string
	hint string
}{
	{ca.ErrNoCertificate, codes.Unauthenticated, "no-certificate", ""},
	{ca.ErrRevoked, codes.Unauthenticated, "revoked", ""},
	{ca.ErrUndecided, codes.Unavailable, "undecided", ""},
	{ca.ErrExpired, codes.Unauthenticated, "certificate-expired", ""},
	{ca.ErrPeer, codes.Unauthenticated, "certificate", ""},
	{ca.ErrTokenUsed, codes.Unauthenticated, "token-used", ""},
	{ca.ErrTokenExpired, codes.Unauthenticated, "token-expired", ""},
	{ca.ErrToken, codes.Unauthenticated, "token-unknown", ""},
	{ca.ErrRequest, codes.InvalidArgument, "certificate-request", ""},
	{ca.ErrSubject, codes.InvalidArgument, "subject", ""},
	{ca.ErrRootExpired, codes.FailedPrecondition, "root-expired", ""},
	// An upload that broke is Aborted: whoever sends it asks for its status and goes on.
	{store.ErrOffset, codes.Aborted, "offset", "Ask for the upload's status and go on from there."},
	{store.ErrOversize, codes.InvalidArgument, "oversize", ""},
	{store.ErrIncomplete, codes.Aborted, "incomplete", "Ask for the upload's status and send the rest."},
	{store.ErrCorrupt, codes.Aborted, "corrupt", "Send the upload again from the start."},
	{store.ErrConflict, codes.AlreadyExists, "conflict", "`tributary participant list` shows who is enrolled; revoke the old one or choose another name."},
	{store.ErrAmbiguous, codes.InvalidArgument, "ambiguous", "Give the job's identifier, or more digits of it; `tributary job list` shows them."},
	{store.ErrNotFound, codes.NotFound, "not-found", ""},
	{invite.ErrMalformed, codes.InvalidArgument, "name", ""},
	{ledger.ErrOutOfRange, codes.OutOfRange, "ledger-range", ""},
	{secagg.ErrMalformed, codes.InvalidArgument, "malformed", ""},
	{wire.ErrSignature, codes.InvalidArgument, "signature", ""},
	{wire.ErrMalformed, codes.InvalidArgument, "malformed", ""},
	{charter.ErrInvalid, codes.InvalidArgument, "charter", ""},
	{context.Canceled, codes.Canceled, "cancelled", ""},
	{context.DeadlineExceeded, codes.DeadlineExceeded, "deadline", ""},
}

// typed turns any error into a status with a pb.Error: the one way in which failures leave the coordinator. What isn't known is
// logged, and told as "internal" only.
func typed(log *zap.Logger, err error) error {
	if err == nil {
		return nil
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	detail := &pb.Error{Code: "internal", Message: "internal error", Hint: "The coordinator's log says more."}
	code := codes.Internal
	var refused *round.Refused
	var ours *engine.Error
	switch {
	case errors.As(err, &refused):
		code, detail = codes.FailedPrecondition, &pb.Error{Code: string(refused.Rule), Message: refused.Error(), Hint: refused.Hint}
	case errors.As(err, &ours):
		code, detail = classes[ours.Class], &pb.Error{Code: ours.Code, Field: ours.Field, Message: ours.Error(), Hint: ours.Hint}
	default:
		for _, s := range sentinels {
			if errors.Is(err, s.err) {
				message, hint := splitHint(err.Error())
				if hint == "" {
					hint = s.hint
				}
				code, detail = s.code, &pb.Error{Code: s.name, Message: message, Hint: hint}
				break
			}
		}
	}
	if code == codes.Internal {
		log.Error("call failed", zap.Error(err))
	}
	s, detailErr := status.New(code, detail.Message).WithDetails(detail)
	if detailErr != nil {
		return status.Error(code, detail.Message)
	}
	return s.Err()
}

// splitHint takes a "(hint: …)" that a message ends with out of it.
func splitHint(message string) (text, hint string) {
	before, after, found := strings.Cut(message, " (hint: ")
	if !found || !strings.HasSuffix(after, ")") {
		return message, ""
	}
	return before, strings.TrimSuffix(after, ")")
}

func refuse(class engine.Class, code, field, hint, message string) error {
	return &engine.Error{Class: class, Code: code, Field: field, Hint: hint, Message: message}
}
