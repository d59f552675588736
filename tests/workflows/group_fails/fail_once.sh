# Fail if $2 is ${1}_fails, unless it has failed before.
if [ "$2" = "$1_fails" ] && ! [ -e "failed/$1" ]; then
    mkdir -p failed
    touch "failed/$1"
    exit 3
fi
