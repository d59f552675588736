# What stands in for environment modules: bash reads this file before each command ($BASH_ENV).
module() {
    case $1 in
        purge) LOADED= ;;
        load) shift; LOADED="$LOADED$*" ;;
    esac
    export LOADED
}
