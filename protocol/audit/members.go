package audit

import (
	"tributary/protocol/charter"
	"tributary/protocol/wire"
)

func (b *Book) enrolment(at At, o *wire.Enrolment) {
	switch {
	case !o.Card.Proven():
		b.find(at, RuleEnrolment, "the card of %s doesn't prove that its holder has the key", o.Card.Name)
	case o.Card.Key == b.Coordinator:
		b.find(at, RuleEnrolment, "%s is enrolled with the coordinator's key", o.Card.Name)
	}
	if b.enrolled[o.Card.Key] == nil {
		b.people = append(b.people, o.Card.Key)
	}
	b.enrolled[o.Card.Key] = o
	delete(b.revoked, o.Card.Key)
}

func (b *Book) charter(at At, c *wire.Charter) {
	if err := charter.Check(c); err != nil {
		b.find(at, RuleCharter, "%v", err)
	}
	if c.LogOrigin != b.Origin {
		b.find(at, RuleCharter, "version %d is for the log %q, this is %q", c.Version, c.LogOrigin, b.Origin)
	}
	if n := len(b.Charters); n > 0 {
		if err := charter.Follows(b.Charters[n-1], c); err != nil {
			b.find(at, RuleCharter, "%v", err)
		}
	}
	for i := range c.Members {
		m := &c.Members[i]
		e := b.enrolled[m.Card.Key]
		switch {
		case e == nil:
			b.find(at, RuleEnrolment, "version %d lists %s, who wasn't enrolled before", c.Version, m.Card.Name)
		case e.Card != m.Card || e.Role != m.Role:
			b.find(at, RuleEnrolment, "version %d lists %s of %s as %s, the enrolment says %s of %s as %s", c.Version, m.Card.Name, m.Card.Organisation, m.Role, e.Card.Name, e.Card.Organisation, e.Role)
		}
	}
	b.Charters = append(b.Charters, c)
	b.charters[c.Digest()] = c
}
