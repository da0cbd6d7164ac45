package wire

// Policy is a participant's signed word on the rules by which it takes part in jobs. Each change is one more version.
type Policy struct {
	Member  Member
	Version uint32 // from 1
	Prev    Digest // of the version before; zero in the first
	Text    string // the operator's own policy, in the canonical form of SPEC §8.1
}

// Type implements Object.
func (*Policy) Type() Type { return TypePolicy }

func (p *Policy) fields(c *codec) {
	c.fixed(p.Member[:])
	c.u32(&p.Version)
	if p.Version == 0 {
		c.fail("policy version 0: the first is 1")
	}
	c.fixed(p.Prev[:])
	if (p.Version == 1) != p.Prev.IsZero() {
		c.fail("policy version %d with the previous one %x", p.Version, p.Prev[:4])
	}
	c.text("policy", &p.Text, MaxTextBytes)
}

// Digest identifies the version in the next one.
func (p *Policy) Digest() Digest { return Hash("policy", Encode(p)) }

// Certificate is the coordinator's record that it issued a member another certificate: another key may then carry its traffic. What a
// member signs is signed by its identity key, which no certificate changes.
type Certificate struct {
	Member     Member
	Key        Digest // SHA-256 of the certificate's SubjectPublicKeyInfo
	Serial     string // lower-case hexadecimal digits
	NotAfterMs uint64 // Unix milliseconds
}

// Type implements Object.
func (*Certificate) Type() Type { return TypeCertificate }

func (t *Certificate) fields(c *codec) {
	c.fixed(t.Member[:])
	c.fixed(t.Key[:])
	c.text("serial", &t.Serial, MaxNameBytes)
	c.u64(&t.NotAfterMs)
}
