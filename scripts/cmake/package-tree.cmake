# Adds to the staged tree of the package what `cmake --install` does not install. Run by CPack
# before it packs (CPACK_PRE_BUILD_SCRIPTS); names between at signs are filled in by package.cmake.
set(source "@PROJECT_SOURCE_DIR@")
set(root "${CPACK_TEMPORARY_DIRECTORY}")
set(doc ${root}/usr/share/doc/modelbus)
set(plain OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
set(folder ${plain} OWNER_EXECUTE GROUP_EXECUTE WORLD_EXECUTE)

function(add destination)
  file(COPY ${ARGN} DESTINATION ${root}/${destination} FILE_PERMISSIONS ${plain} DIRECTORY_PERMISSIONS ${folder}
       PATTERN __pycache__ EXCLUDE PATTERN "*.env" EXCLUDE)
endfunction()

function(must_run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(GLOB units ${source}/scripts/systemd/modelbus*)
add(usr/lib/systemd/system ${units})
file(GLOB settings ${source}/scripts/systemd/env/*.env)
file(COPY ${settings} DESTINATION ${root}/etc/modelbus FILE_PERMISSIONS ${plain} DIRECTORY_PERMISSIONS ${folder})

# Completions ask the program that they are packed with.
set(program ${root}/usr/bin/modelbus)
foreach(completion bash:bash-completion/completions/modelbus zsh:zsh/vendor-completions/_modelbus
                   fish:fish/vendor_completions.d/modelbus.fish)
  string(REPLACE ":" ";" completion ${completion})
  list(GET completion 0 shell)
  list(GET completion 1 file)
  execute_process(COMMAND ${program} completion ${shell} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  file(WRITE ${root}/usr/share/${file} "${text}")
endforeach()

add(usr/share/doc/modelbus ${source}/README.md ${source}/docs)
add(usr/share/doc/modelbus ${source}/scripts/debian/copyright)
add(usr/share/lintian/overrides ${source}/scripts/debian/lintian-overrides)
file(RENAME ${root}/usr/share/lintian/overrides/lintian-overrides ${root}/usr/share/lintian/overrides/modelbus)

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${doc}/changelog.Debian
     "modelbus (@PROJECT_VERSION@-@CPACK_DEBIAN_PACKAGE_RELEASE@) unstable; urgency=medium\n\n"
     "  * Packaged from the release; changelog.gz says what changed.\n\n"
     " -- @MODELBUS_PACKAGE_CONTACT@  ${date}\n")
file(COPY_FILE ${source}/CHANGELOG.md ${doc}/changelog)
must_run(gzip -9nf ${doc}/changelog ${doc}/changelog.Debian)

# Pages of manual from the programs' own help.
file(MAKE_DIRECTORY ${root}/usr/share/man/man1 ${root}/usr/share/man/man8)
file(GLOB programs RELATIVE ${root}/usr/bin ${root}/usr/bin/*)
foreach(name IN LISTS programs)
  set(section 8)
  if(name STREQUAL modelbus OR name STREQUAL modelbus-devbus)
    set(section 1)
  endif()
  set(page ${root}/usr/share/man/man${section}/${name}.${section})
  if(name STREQUAL modelbus-supervisor) # what `modelbus local up` starts; not for people
    file(WRITE ${page} ".so man1/modelbus.1\n")
    must_run(gzip -9nf ${page})
    continue()
  endif()
  execute_process(COMMAND ${root}/usr/bin/${name} --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
  set(purpose "part of modelbus")
  if(help MATCHES "^${name} - ([^\n]*)")
    string(REGEX REPLACE "[.]$" "" purpose "${CMAKE_MATCH_1}")
  endif()
  string(REPLACE "\\" "\\e" help "${help}")
  string(REPLACE "-" "\\-" help "${help}")
  # A line that begins with a point or a quote is a request to troff.
  string(REGEX REPLACE "(^|\n)([.'])" "\\1\\\\&\\2" help "${help}")
  string(REPLACE "-" "\\-" shown ${name})
  file(WRITE ${page}
       ".TH ${name} ${section} \"\" \"modelbus @PROJECT_VERSION@\"\n.SH NAME\n${shown} \\- ${purpose}\n"
       ".SH DESCRIPTION\n.nf\n${help}.fi\n.SH SEE ALSO\n/usr/share/doc/modelbus\n")
  must_run(gzip -9nf ${page})
endforeach()

# Modes do not depend on who packs.
file(GLOB_RECURSE entries LIST_DIRECTORIES true ${root}/etc/* ${root}/usr/*)
list(APPEND entries ${root}/etc ${root}/usr)
foreach(entry IN LISTS entries)
  if(IS_DIRECTORY ${entry} OR entry MATCHES "/usr/bin/")
    file(CHMOD ${entry} PERMISSIONS ${folder})
  else()
    file(CHMOD ${entry} PERMISSIONS ${plain})
  endif()
endforeach()
