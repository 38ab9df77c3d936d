package storage

import "fmt"

// inUse says which process has the database, where that is known.
func inUse(path, process string, detail error) error {
	who := "another process"
	if process != "" {
		who = "process " + process
	}
	return &refusal{fmt.Sprintf("the database %s is in use by %s: stop that Potluck first, or set database.path to another file", path, who), ErrInUse, detail}
}
