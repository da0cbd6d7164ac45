package ca

import "errors"

// Sentinels of the decisions that a caller takes.
var (
	// ErrExists: Init found files of an authority.
	ErrExists = errors.New("a certificate authority already exists")
	// ErrStorage: the authority's files are missing, damaged, readable by others, or don't belong together.
	ErrStorage = errors.New("certificate authority files can't be used")
	// ErrRequest: a certificate request that is malformed or has a wrong signature or a key of a refused type.
	ErrRequest = errors.New("certificate request refused")
	// ErrSubject: a subject, host list or lifetime that no certificate is issued for.
	ErrSubject = errors.New("certificate subject refused")
	// ErrRootExpired: the root isn't valid now, so nothing can be issued.
	ErrRootExpired = errors.New("the root certificate is not valid now")
	// ErrNoCertificate: the peer showed no certificate.
	ErrNoCertificate = errors.New("no client certificate")
	// ErrPeer: a certificate of our root that names no peer as this package writes them.
	ErrPeer = errors.New("client certificate names no peer")
	// ErrExpired: the peer's certificate isn't valid now.
	ErrExpired = errors.New("client certificate is not valid now")
	// ErrRevoked: the peer is revoked.
	ErrRevoked = errors.New("client certificate is revoked")
	// ErrUndecided: whether the peer is revoked could not be found out, as when the coordinator is about to stop.
	ErrUndecided = errors.New("can't find out whether the client certificate is revoked")
	// ErrToken: a token that no record knows, or that differs from its record.
	ErrToken = errors.New("invitation unknown")
	// ErrTokenUsed: a token that was used before.
	ErrTokenUsed = errors.New("invitation already used")
	// ErrTokenExpired: a token past its time.
	ErrTokenExpired = errors.New("invitation expired")
)
