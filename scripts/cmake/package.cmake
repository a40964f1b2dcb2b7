# The Debian package: `scripts/package`, or `cpack` in a build folder. The programs and proto files
# come from install(); what only a package has (units, settings, completions, pages) is added to
# the staged tree by package-tree.cmake, so that `cmake --install` never writes outside its prefix.
set(MODELBUS_PACKAGE_CONTACT "modelbus maintainers <maintainers@modelbus.example>"
    CACHE STRING "Maintainer named in the package")

# A package needs the libraries of the release that it was built on: the version says which.
set(MODELBUS_RELEASE unknown)
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release lines REGEX "^(ID|VERSION_ID)=")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^([A-Z_]+)=\"?([^\"]*)\"?$" "\\1;\\2" pair "${line}")
    list(GET pair 0 name)
    list(GET pair 1 os_${name})
  endforeach()
  set(MODELBUS_RELEASE ${os_ID}${os_VERSION_ID})
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME modelbus)
set(CPACK_PACKAGE_CONTACT "${MODELBUS_PACKAGE_CONTACT}")
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
# Whoever packages under umask 077 makes the same package.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1~${MODELBUS_RELEASE})
set(CPACK_DEBIAN_PACKAGE_SECTION misc)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "postgresql, systemd")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "kcat, protobuf-compiler")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "event-driven life cycle of machine-learning models
A training job says ModelTrained; small C services register the version, roll
it out and hot-swap it inside every serving pod, in milliseconds and without
dropping a request. State is in PostgreSQL, events are protobuf on Kafka.
.
This package has the services with their systemd units (none is started
before it has been configured), the modelbus command, an embedded bus for
development, and the protobuf files of the wire contract.")

# The three maintainer scripts act on the units that exist.
file(GLOB units CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scripts/systemd/*.service ${PROJECT_SOURCE_DIR}/scripts/systemd/*.target)
set(UNITS)
foreach(unit IN LISTS units)
  get_filename_component(unit ${unit} NAME)
  string(APPEND UNITS " ${unit}")
endforeach()
string(STRIP "${UNITS}" UNITS)
file(GLOB settings CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/scripts/systemd/env ${PROJECT_SOURCE_DIR}/scripts/systemd/env/*.env)
list(TRANSFORM settings PREPEND /etc/modelbus/)
list(JOIN settings "\n" conffiles)
set(control ${CMAKE_BINARY_DIR}/package-control)
file(WRITE ${control}/conffiles "${conffiles}\n")
file(CHMOD ${control}/conffiles PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${control}/conffiles)
foreach(script postinst prerm postrm)
  configure_file(${PROJECT_SOURCE_DIR}/scripts/debian/${script} ${control}/${script} @ONLY
                 FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${control}/${script})
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

configure_file(${PROJECT_SOURCE_DIR}/scripts/cmake/package-tree.cmake ${CMAKE_BINARY_DIR}/package-tree.cmake @ONLY)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_BINARY_DIR}/package-tree.cmake)
include(CPack)
