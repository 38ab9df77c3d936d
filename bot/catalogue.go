package bot

// Catalogue renders texts in the languages that this Potluck speaks. Package commands implements it. The core itself asks for these keys:
// "reply.working" (the placeholder), "button.stop" and "fault.<code>" for every fault.Code.
type Catalogue interface {
	// Say returns the texts of one language, which Match returned.
	Say(language string) Say
	// Match returns the language (BCP 47) that serves a reader best; preferred tags come first, empty ones are skipped.
	Match(preferred ...string) (language string)
}
