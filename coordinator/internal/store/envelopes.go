package store

import (
	"tributary/protocol/wire"
)

// PutEnvelope keeps a signed object of a job's round. ref is what others ask for it by (an upload's payload digest); zero: nothing.
func (t *Tx) PutEnvelope(job wire.Digest, round uint64, e *wire.Envelope, ref wire.Digest) error {
	digest := e.Digest()
	var refArg any
	if !ref.IsZero() {
		refArg = ref[:]
	}
	return t.exec(`INSERT INTO envelopes (job, round, type, signer, digest, ref, data) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		job[:], int64(round), int64(e.Kind), e.Signer[:], digest[:], refArg, e.Bytes())
}

// Envelopes lists what is kept of one round, in the order in which it came.
func (t *Tx) Envelopes(job wire.Digest, round uint64) (out []wire.Envelope, err error) {
	return t.envelopes(`job = ? AND round = ?`, job[:], int64(round))
}

// EnvelopesOf lists what is kept of one type over all rounds, in the order in which it came.
func (t *Tx) EnvelopesOf(job wire.Digest, kind wire.Type) (out []wire.Envelope, err error) {
	return t.envelopes(`job = ? AND type = ?`, job[:], int64(kind))
}

func (t *Tx) envelopes(where string, args ...any) (out []wire.Envelope, err error) {
	err = t.each(func(scan func(...any) error) error {
		var b []byte
		if err := scan(&b); err != nil {
			return err
		}
		e, err := wire.ParseEnvelope(b)
		if err != nil {
			return err
		}
		out = append(out, e)
		return nil
	}, `SELECT data FROM envelopes WHERE `+where+` ORDER BY seq`, args...)
	return out, err
}

// UploadOf finds the digest of the upload whose payload has that digest, or ErrNotFound.
func (t *Tx) UploadOf(job, payload wire.Digest) (upload wire.Digest, err error) {
	var b []byte
	err = t.row(`SELECT digest FROM envelopes WHERE job = ? AND ref = ? AND type = ? ORDER BY seq DESC LIMIT 1`, job[:], payload[:], int64(wire.TypeUpload)).Scan(&b)
	copy(upload[:], b)
	return upload, notFound("payload", err)
}

// Release is where a release is found.
type Release struct {
	Digest, Job wire.Digest
	Round       uint64
	Entry       int64 // index in the ledger
}

// PutRelease remembers where a release is found.
func (t *Tx) PutRelease(r Release) error {
	return t.exec(`INSERT INTO releases (digest, job, round, entry) VALUES (?, ?, ?, ?)`, r.Digest[:], r.Job[:], int64(r.Round), r.Entry)
}

// Release finds a release, or ErrNotFound.
func (t *Tx) Release(digest wire.Digest) (Release, error) {
	r := Release{Digest: digest}
	var job []byte
	var round int64
	err := t.row(`SELECT job, round, entry FROM releases WHERE digest = ?`, digest[:]).Scan(&job, &round, &r.Entry)
	copy(r.Job[:], job)
	r.Round = uint64(round)
	return r, notFound("release", err)
}
