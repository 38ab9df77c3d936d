package bot

// Finding is one thing that the check of a platform found.
type Finding struct {
	State Verdict
	Text  string // one sentence; with what to do, unless all is well
}

// Verdict says what a Finding means.
type Verdict string

const (
	Fine   Verdict = "ok"
	ToDo   Verdict = "todo"  // works in part
	Broken Verdict = "wrong" // does not work
	Note   Verdict = "note"
)

// Says makes a Finding.
func (v Verdict) Says(text string) Finding { return Finding{State: v, Text: text} }
