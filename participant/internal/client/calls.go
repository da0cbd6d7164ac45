package client

import (
	"context"
	"time"

	"tributary/protocol/invite"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

const callTimeout = 30 * time.Second

// Enrolled is what enrolment gives; Chain was checked against the invitation.
type Enrolled struct {
	Chain       [][]byte
	Coordinator wire.Member
	Consortium  string
	Role        string
}

// Enrol redeems an invitation at address over a connection without a client certificate.
func Enrol(ctx context.Context, t invite.Token, address string, csr []byte, card wire.MemberCard) (*Enrolled, error) {
	c, err := Dial(Options{Address: address, Fingerprint: t.Fingerprint})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reply, err := pb.NewEnrolmentClient(c.conn).Enrol(ctx, &pb.EnrolRequest{Version: wire.ProtocolVersion, Secret: t.Secret[:], CsrDer: csr, MemberCard: wire.Encode(&card)})
	if err != nil {
		return nil, typed(ctx, c.pin, "enrol", err)
	}
	if len(reply.CoordinatorKey) != len(wire.Member{}) {
		return nil, answer("a coordinator's key of %d bytes", len(reply.CoordinatorKey))
	}
	return &Enrolled{Chain: reply.ChainDer, Coordinator: wire.Member(reply.CoordinatorKey), Consortium: reply.Consortium, Role: reply.Role}, nil
}

// Renew gets a new certificate for the same key. The caller stores the chain, then calls Use.
func (c *Client) Renew(ctx context.Context, name string) ([][]byte, error) {
	csr, err := Request(c.opts.Credentials.key, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	calls, p := c.calls()
	reply, err := calls.Renew(ctx, &pb.RenewRequest{CsrDer: csr})
	if err != nil {
		return nil, typed(ctx, p, "renew certificate", err)
	}
	return reply.ChainDer, CheckChain(reply.ChainDer, c.opts.Credentials.key, c.opts.Fingerprint)
}

// Use takes a renewed chain and connects anew with it.
func (c *Client) Use(chain [][]byte) error {
	if err := c.opts.Credentials.use(chain); err != nil {
		return err
	}
	return c.Redial()
}

// Charter gets a charter version (zero digest: the newest) and the versions before it, newest first. Nothing of it is checked.
func (c *Client) Charter(ctx context.Context, digest wire.Digest) (newest wire.Envelope, before []wire.Envelope, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request := &pb.GetCharterRequest{}
	if !digest.IsZero() {
		request.Digest = digest[:]
	}
	calls, p := c.calls()
	reply, err := calls.GetCharter(ctx, request)
	if err != nil {
		return newest, nil, typed(ctx, p, "get charter", err)
	}
	if newest, err = wire.ParseEnvelope(reply.Charter); err != nil {
		return newest, nil, answer("charter: %v", err)
	}
	for _, data := range reply.Prev {
		e, err := wire.ParseEnvelope(data)
		if err != nil {
			return newest, nil, answer("charter: %v", err)
		}
		before = append(before, e)
	}
	return newest, before, nil
}

// Next asks what to do, waiting at most wait on the server.
func (c *Client) Next(ctx context.Context, request *pb.NextRequest, wait time.Duration) (*pb.NextReply, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+10*time.Second)
	defer cancel()
	request.Version, request.MaxWaitMs = wire.ProtocolVersion, uint32(wait.Milliseconds())
	calls, p := c.calls()
	reply, err := calls.Next(ctx, request)
	return reply, typed(ctx, p, "ask for the next task", err)
}

// Put hands in a signed object.
func (c *Client) Put(ctx context.Context, e wire.Envelope) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	calls, p := c.calls()
	_, err := calls.Put(ctx, &pb.PutRequest{Object: e.Bytes()})
	return typed(ctx, p, "send "+e.Kind.String(), err)
}

// Release gets the ledger's record of a release, with its inclusion proof under the head of the given size (0: the checkpoint's).
func (c *Client) Release(ctx context.Context, job, release wire.Digest, ledgerSize uint64) (*pb.FetchReleaseReply, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	calls, p := c.calls()
	reply, err := calls.FetchRelease(ctx, &pb.FetchReleaseRequest{Job: job[:], Release: release[:], LedgerSize: ledgerSize})
	return reply, typed(ctx, p, "fetch release", err)
}

// Checkpoint gets the ledger's newest checkpoint and the proof that it extends the last head seen. Nothing of it is checked.
func (c *Client) Checkpoint(ctx context.Context, seen ledger.Head) (checkpoint []byte, proof [][32]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	calls, p := c.calls()
	reply, err := calls.GetCheckpoint(ctx, &pb.GetCheckpointRequest{LedgerSize: uint64(seen.Size)})
	if err != nil {
		return nil, nil, typed(ctx, p, "get checkpoint", err)
	}
	proof, err = Hashes(reply.ConsistencyProof)
	return reply.Checkpoint, proof, err
}

// PutCosignature hands in a checkpoint that this node has cosigned.
func (c *Client) PutCosignature(ctx context.Context, checkpoint []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	calls, p := c.calls()
	_, err := calls.PutCosignature(ctx, &pb.PutCosignatureRequest{Checkpoint: checkpoint})
	return typed(ctx, p, "send cosignature", err)
}

// Hashes reads a proof.
func Hashes(proof [][]byte) ([][32]byte, error) {
	out := make([][32]byte, len(proof))
	for i, h := range proof {
		if len(h) != 32 {
			return nil, answer("a hash of %d bytes in a proof", len(h))
		}
		out[i] = [32]byte(h)
	}
	return out, nil
}
