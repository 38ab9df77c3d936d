package storage

import "fmt"

// inUse says which process has the database, where that is known.
func inUse(path, process string, detail error) error {
	who := "another process"
	if process != "" {
		who = "process " + process
	}
	return &refusal{fmt.Sprintf("the database %s is in use by %s: stop that Potluck first, or choose another folder with data_dir or POTLUCK_DATA_DIR", path, who), ErrInUse, detail}
}
