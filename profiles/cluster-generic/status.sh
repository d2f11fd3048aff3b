#!/bin/sh
# Says of a PBS job, by its number: running, success or failed.
state=$(qstat -x -f "$1") || exit 1
case $state in
  *"job_state = F"*"Exit_status = 0"*) echo success ;;
  *"job_state = F"*) echo failed ;;
  *) echo running ;;
esac
