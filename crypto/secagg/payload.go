package secagg

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// ErrSeats means that the committee given to Encrypt isn't one of the Params.
var ErrSeats = errors.New("secagg: invalid committee")

// An Upload is one sealed contribution. Its sizes depend on the Params only.
type Upload struct {
	Payload []byte   // Params.PayloadBytes
	Shares  [][]byte // one sealed share per seat, in the order of the seats given
}

// Encrypt seals one contribution: lanes (length Params.Length, each of
// −2^(b−1) … 2^(b−1)−1, from Quantise) under a fresh one-time key, and the key's
// shares to the seats. The key and the errors come from crypto/rand, never leave
// this function and are zeroed before it returns.
//
// It must be called once per context and sender, whatever happens to the result:
// two payloads of one context share the public polynomials, and opening sums of
// both would be two sums over one contributor. The caller keeps the finished
// bytes and sends the same again (Encrypt can't know: it keeps no state).
//
// seats are the m seats of the Params, each index 1..m once and each member
// once. Errors: ErrParams, ErrSeats, ErrShape, ErrOutOfLane, ErrMalformed (a
// seat's public key).
func Encrypt(p Params, ctx Context, sender Member, seats []Seat, lanes []int64) (*Upload, error) {
	return encrypt(p, ctx, sender, seats, lanes, rand.Reader)
}

// encrypt is Encrypt with the coins of payload and sharing read from random; the
// randomness of HPKE is always the standard library's.
func encrypt(p Params, ctx Context, sender Member, seats []Seat, lanes []int64, random io.Reader) (*Upload, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := p.checkLanes(lanes); err != nil {
		return nil, err
	}
	if err := p.checkSeats(seats); err != nil {
		return nil, err
	}
	var key [ringDegree]int64
	defer clear(key[:])
	if err := sampleKey(&key, random); err != nil {
		return nil, err
	}
	shares, err := p.dealShares(ctx, sender, seats, &key, random)
	if err != nil {
		return nil, err
	}
	payload, err := p.encryptPayload(ctx, &key, lanes, random)
	if err != nil {
		return nil, err
	}
	return &Upload{Payload: payload, Shares: shares}, nil
}

func (p *Params) checkSeats(seats []Seat) error {
	if len(seats) != p.seats {
		return fmt.Errorf("%w: %d seats, the parameters have %d (hint: give the job's whole committee)",
			ErrSeats, len(seats), p.seats)
	}
	var index [MaxSeats + 1]bool
	members := make(map[Member]bool, len(seats))
	for _, s := range seats {
		if s.Index < 1 || int(s.Index) > p.seats || index[s.Index] {
			return fmt.Errorf("%w: seat index %d, want each of 1 to %d once (hint: take the manifest's order)",
				ErrSeats, s.Index, p.seats)
		}
		if members[s.Member] {
			return fmt.Errorf("%w: the member of seat %d has two seats (hint: seat distinct members)", ErrSeats, s.Index)
		}
		index[s.Index], members[s.Member] = true, true
	}
	return nil
}

func sampleKey(key *[ringDegree]int64, random io.Reader) error {
	coins, err := freshCoins(random)
	if err != nil {
		return err
	}
	defer coins.erase()
	for i := range key {
		key[i] = coins.gaussian()
	}
	return nil
}

func (p *Params) dealShares(ctx Context, sender Member, seats []Seat, key *[ringDegree]int64, random io.Reader) ([][]byte, error) {
	coins, err := freshCoins(random)
	if err != nil {
		return nil, err
	}
	defer coins.erase()
	shares := shareKey(key, p.threshold, p.seats, coins)
	defer func() {
		for _, s := range shares {
			clear(s[:])
		}
	}()
	sealed := make([][]byte, len(seats))
	for i, s := range seats {
		public, err := parseSeatPublicKey(s.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("seal share to seat %d: %w", s.Index, err)
		}
		sealed[i], err = sealShare(public, shareInfo(ctx, sender, s.Member, s.Index), shares[s.Index-1])
		if err != nil {
			return nil, fmt.Errorf("seal share to seat %d: %w: %w", s.Index, ErrMalformed, err)
		}
	}
	return sealed, nil
}

// encryptPayload returns c_j = a_j·k + e_j + 2^ℓ·m_j mod Q for each polynomial j,
// in coefficient order, cut behind the last coefficient that is used.
func (p *Params) encryptPayload(ctx Context, key *[ringDegree]int64, lanes []int64, random io.Reader) ([]byte, error) {
	r := rlweRing()
	secret, c := new(poly), new(poly)
	defer clear(secret[0][:])
	defer clear(secret[1][:])
	r.keyTransform(key, secret)

	out := make([]byte, p.PayloadBytes())
	header := p.payloadHeader(ctx)
	body := out[copy(out, header[:]):]
	for j := range p.polynomials() {
		used := min(ringDegree, p.coeffs-j*ringDegree)
		r.mask(ctx, j, secret, c)
		coins, err := freshCoins(random)
		if err != nil {
			return nil, err
		}
		m0, m1 := &r.mod[0], &r.mod[1]
		for x := range used {
			take := min(p.lanes, len(lanes))
			hi, lo := p.message(lanes[:take])
			lanes = lanes[take:]
			e := coins.gaussian()
			c[0][x] = m0.add(c[0][x], m0.add(m0.reduce(hi, lo), uint64(e+prime0&(e>>63))))
			c[1][x] = m1.add(c[1][x], m1.add(m1.reduce(hi, lo), uint64(e+prime1&(e>>63))))
		}
		coins.erase()
		packResidues(body, c[0][:used], c[1][:used])
		body = body[min(len(body), residueBytes(used)):]
	}
	return out, nil
}
