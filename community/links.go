package community

import "time"

// Identity is one account of a person on one platform.
type Identity struct {
	ID   UserID
	Name string // as the platform shows it
	// Joined is when it came to its member by being connected; zero: the member began with it, so it stays when others go.
	Joined time.Time
}

// LinkState says how far two identities are from being one person's.
type LinkState string

const (
	LinkOpen    LinkState = "open"    // a code waits to be typed on the other side
	LinkTyped   LinkState = "typed"   // it was; who typed it has not agreed
	LinkAgreed  LinkState = "agreed"  // the other side agrees; who asked has not confirmed
	LinkJoined  LinkState = "joined"  // both did: they are one
	LinkRefused LinkState = "refused" // one side said no, or asked for another code
	LinkExpired LinkState = "expired" // nobody went on in time
)

// Final tells whether nothing can happen to a link any more.
func (s LinkState) Final() bool { return s == LinkJoined || s == LinkRefused || s == LinkExpired }

// How long a code may be typed, and how long all of it may take: the answer that a Discord interaction shows can be changed for 15 minutes.
const (
	LinkCodeLife = 10 * time.Minute
	LinkLife     = 13 * time.Minute
)

// Link is an attempt to connect two identities. Request is that of the Asker, whose answer shows the code.
type Link struct {
	Request string
	Asker   Identity
	Typer   Identity // zero while State is LinkOpen
	State   LinkState
	Begun   time.Time
}

// Until is when it expires if nothing else happens.
func (l Link) Until() time.Time {
	if l.State == LinkOpen {
		return l.Begun.Add(LinkCodeLife)
	}
	return l.Begun.Add(LinkLife)
}
