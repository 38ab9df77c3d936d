// Package fault is an error with a Code that people are told about; every other error is "internal" to them.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Code names a failure that a person can understand and mostly mend. Each Code has one text per language (package commands); a test
// finds a missing one. The comment behind a Code names the arguments that its text uses.
type Code string

const (
	// What a person typed.
	UnknownCommand Code = "unknown_command"  // name, nearest (may be empty)
	MissingOption  Code = "missing_option"   // command, option, usage
	BadOption      Code = "bad_option"       // option, value, want
	UnknownOption  Code = "unknown_option"   // command, option, nearest (may be empty)
	TooLong        Code = "too_long"         // option, length, max
	UnknownJob     Code = "unknown_job"      // job
	UnknownWorker  Code = "unknown_worker"   // worker
	UnknownLang    Code = "unknown_language" // value
	SameLanguage   Code = "same_language"    // language
	LanguageUnsure Code = "language_unsure"  // (none): the source language could not be told, ask for from:
	Forbidden      Code = "forbidden"        // role (empty: it is the bot that lacks a right)
	NotYours       Code = "not_yours"        // (none): the button or job belongs to somebody else
	Gone           Code = "gone"             // command (may be empty): a button or message that no longer exists
	Blocked        Code = "blocked"          // (none): a safety rule refused the request; which one is never told

	// Limits.
	RateLimited Code = "rate_limited" // wait
	TooMany     Code = "too_many"     // running, queued, wait
	NoCredit    Code = "no_credit"    // need, have, reset; share where each household may use so much of the free credits only
	Busy        Code = "busy"         // (none): a bounded queue is full
	Storage     Code = "storage"      // (none): the disk of this Potluck takes nothing now: full, read-only or broken

	// What admins want in their place.
	SwitchedOff Code = "switched_off" // feature, state: "chat" or "everywhere"
	Unwanted    Code = "unwanted"     // (none): an admin does not want this member to use the bot there
	EnoughToday Code = "enough_today" // limit, reset

	// The pool.
	NoWorker        Code = "no_worker"         // kind
	NoModel         Code = "no_model"          // model, models
	NoPair          Code = "no_pair"           // from, to, targets (what is possible from that language), pairs
	NoPrivateWorker Code = "no_private_worker" // kind
	NoFit           Code = "no_fit"            // what, max
	Expired         Code = "expired"           // kind: waited longer than its deadline
	WorkerFailed    Code = "worker_failed"     // kind, attempts
	EngineRefused   Code = "engine_refused"    // kind: the engine says that the request cannot be done
	BadResult       Code = "bad_result"        // kind: workers answered, but nothing that may be shown
	Cancelled       Code = "cancelled"         // (none): stopped by the person who asked, or a moderator
	GivenUp         Code = "given_up"          // times: the process died that often soon after it took the request up
	Erased          Code = "erased"            // (none): the job was done, but what it gave was erased before it could be shown

	// Linking a worker.
	PublicURL      Code = "public_url"       // url: /worker link would hand out an address nobody can reach
	TooManyWorkers Code = "too_many_workers" // max
	NameTaken      Code = "name_taken"       // name: another machine of the same owner has it
	WhichWorker    Code = "which_worker"     // workers: more than one could be meant
	UnknownMachine Code = "unknown_machine"  // worker: nobody's machine has that number

	// People.
	UnknownMember Code = "unknown_member" // name, nearest (may be empty)
	ManyMembers   Code = "many_members"   // name, members: "#12, #17"
	NotEnough     Code = "not_enough"     // need, have: own credits, without the free ones
	NotHere       Code = "not_here"       // (none): it needs a community, and this is a private chat

	// Connecting accounts.
	BadLinkCode Code = "bad_link_code" // (none): never given out, typed already, or too old
	OwnLinkCode Code = "own_link_code" // (none): typed on the side that it was given to
	LinkTries   Code = "link_tries"    // wait: too many wrong codes
	LinkRefused Code = "link_refused"  // why: already, blocked, operator, many, often; max

	Internal Code = "internal" // (none)
)

// Codes lists every Code, for the test that finds missing texts.
func Codes() []Code {
	return []Code{
		UnknownCommand, MissingOption, BadOption, UnknownOption, TooLong, UnknownJob, UnknownWorker, UnknownLang, SameLanguage,
		LanguageUnsure, Forbidden, NotYours, Gone, Blocked, RateLimited, TooMany, NoCredit, Busy, Storage, SwitchedOff, Unwanted, EnoughToday, NoWorker, NoModel, NoPair,
		NoPrivateWorker, NoFit, Expired, WorkerFailed, EngineRefused, BadResult, Cancelled, GivenUp, Erased, PublicURL, TooManyWorkers, NameTaken, WhichWorker, UnknownMachine,
		UnknownMember, ManyMembers, NotEnough, NotHere, BadLinkCode, OwnLinkCode, LinkTries, LinkRefused, Internal,
	}
}

// mistakes are what somebody typed that cannot be meant so: nothing is amiss with the pool, and it concerns that person only.
var mistakes = map[Code]bool{
	UnknownCommand: true, MissingOption: true, BadOption: true, UnknownOption: true, TooLong: true, UnknownJob: true, UnknownWorker: true,
	UnknownLang: true, SameLanguage: true, LanguageUnsure: true, NotYours: true, NoModel: true, NoPair: true, NameTaken: true,
	WhichWorker: true, UnknownMachine: true, UnknownMember: true, ManyMembers: true, NotEnough: true, NotHere: true, BadLinkCode: true, OwnLinkCode: true,
}

// Mistake tells whether a failure is one of the person who asked alone.
func (c Code) Mistake() bool { return mistakes[c] }

// Error is a failure that people are told about. Args fill the named places of the Code's text; Cause is for the log only.
type Error struct {
	Code  Code
	Args  map[string]string
	Cause error
}

// New makes an Error; args are pairs of name and value: New(TooLong, "option", "prompt", "max", 4000).
func New(code Code, args ...any) *Error {
	return &Error{Code: code, Args: pairs(args)}
}

// Wrap is New with the error that caused it.
func Wrap(cause error, code Code, args ...any) *Error {
	return &Error{Code: code, Args: pairs(args), Cause: cause}
}

func pairs(args []any) map[string]string {
	m := make(map[string]string, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		m[fmt.Sprint(args[i])] = fmt.Sprint(args[i+1])
	}
	return m
}

// Error is for the log: the code, its arguments' names (their values may hold what people wrote) and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	if e.Cause != nil {
		b.WriteString(": ")
		b.WriteString(e.Cause.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Cause }

// Is makes errors.Is(err, fault.New(code)) true for any Error of that code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Of returns the outermost Error in err's chain, or one with code Internal.
func Of(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Internal, Cause: err}
}

// Has tells whether err carries the code.
func Has(err error, code Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}
