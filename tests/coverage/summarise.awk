# Reads a list of sources, then coverage in lcov's format, and prints how much of each file and of
# each part was executed. Fails when a part is below `limit` percent.

# A file may occur more than once, from several programs: a line counts if one of them executed it.
FILENAME ~ /sources$/ { known[$1] = 1; files[$1] = 1; next }
/^SF:/ {
    file = substr($0, 4)
    # The name is below the source folder, or seen from the build folder: which, depends on how the
    # compiler was called (ccache gives it relative names).
    sub("^" root "/", "", file)
    sub("^" build "/", "", file)
    sub(/^(\.\.\/)+/, "", file)
    counts = file ~ /^(hypervisor|tool|lab\/machine|lab\/nt)\//
    if (counts) files[file] = 1
}
!counts { next }
/^DA:/ {
    split(substr($0, 4), line, ",")
    key = file ":" line[1]
    if (!(key in hits)) { lines[file]++; hits[key] = 0 }
    if (line[2] > 0 && hits[key] == 0) { executed[file]++; hits[key] = 1 }
}

function part_of(name) {
    if (name ~ /^lab\//) { split(name, folder, "/"); return "lab/" folder[2] }
    return substr(name, 1, index(name, "/") - 1)
}

END {
    for (name in files) {
        if (!(name in lines)) {
            # No program contains it: all its lines count as not executed.
            while ((getline text < name) > 0) lines[name]++
        }
        part = part_of(name)
        of_part[part] += lines[name]
        executed_of_part[part] += executed[name]
        percent = 100 * executed[name] / lines[name]
        printf "%6.1f %%  %5d lines  %s\n", percent, lines[name], name | "sort -n"
    }
    close("sort -n")
    for (part in of_part) {
        percent = 100 * executed_of_part[part] / of_part[part]
        printf "%6.1f %%  %5d lines  in %s\n", percent, of_part[part], part
        if (percent < limit) { printf "coverage: %s is below %d %%\n", part, limit; failed = 1 }
    }
    exit failed
}
