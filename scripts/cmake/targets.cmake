# How every target of modelbus is made. A folder is a target; its include path is
# seen only by those that link it, so an include against the direction of
# dependencies (services -> events -> shared -> proto) does not compile.

add_library(modelbus_flags INTERFACE)
target_compile_options(modelbus_flags INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wpointer-arith -Wformat=2 -fno-common -fstack-protector-strong -fno-omit-frame-pointer)
target_compile_definitions(modelbus_flags INTERFACE _GNU_SOURCE)
if(MODELBUS_SANITIZE)
  target_compile_options(modelbus_flags INTERFACE -fsanitize=${MODELBUS_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(modelbus_flags INTERFACE -fsanitize=${MODELBUS_SANITIZE})
else()
  target_compile_definitions(modelbus_flags INTERFACE
    $<$<CONFIG:Release,RelWithDebInfo>:_FORTIFY_SOURCE=2>)
endif()
if(MODELBUS_SANITIZE STREQUAL thread)
  add_library(c11_threads OBJECT ${PROJECT_SOURCE_DIR}/tests/support/c11_threads.c)
  target_compile_definitions(c11_threads PRIVATE _GNU_SOURCE)
  target_link_libraries(modelbus_flags INTERFACE $<TARGET_OBJECTS:c11_threads>)
endif()

macro(modelbus_nonempty var)
  if(NOT ${var})
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty.c "typedef int empty;\n")
    set(${var} ${CMAKE_CURRENT_BINARY_DIR}/empty.c)
  endif()
endmacro()

# modelbus_library(NAME [DEPS targets...]): a static library of this folder's *.c.
# Headers are included as "NAME/NAME.h".
function(modelbus_library name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.c)
  modelbus_nonempty(sources)
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${CMAKE_BINARY_DIR}/include/${name})
  # One link farm a library keeps other folders' headers out of reach.
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include/${name})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_BINARY_DIR}/include/${name}/${name} SYMBOLIC)
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE modelbus_flags)
endfunction()

# modelbus_embed(TARGET PREFIX files...): the files' text as C strings in one
# generated source: `const struct embed_file PREFIX[]`, name-ordered, NULL-ended.
function(modelbus_embed target prefix)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${prefix}.c)
  set(inputs ${ARGN})
  list(SORT inputs)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} "-DOUT=${out}" "-DPREFIX=${prefix}" "-DFILES=${inputs}"
            -P ${PROJECT_SOURCE_DIR}/scripts/cmake/embed.cmake
    DEPENDS ${inputs} ${PROJECT_SOURCE_DIR}/scripts/cmake/embed.cmake VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()

# modelbus_service(NAME [DEPS targets...]): the program modelbus-NAME from this
# folder, its domain as library NAME_service for tests, its schema/*.sql embedded.
function(modelbus_service name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.c)
  list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/main.c)
  modelbus_nonempty(sources)
  add_library(${name}_service STATIC ${sources})
  target_include_directories(${name}_service PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${name}_service PUBLIC ${ARG_DEPS} PRIVATE modelbus_flags)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/main.c)
  add_executable(modelbus-${name} main.c)
  target_link_libraries(modelbus-${name} PRIVATE ${name}_service modelbus_flags)
  install(TARGETS modelbus-${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
  file(GLOB schema CONFIGURE_DEPENDS schema/*.sql)
  if(schema)
    modelbus_embed(${name}_service ${name}_schema ${schema})
  endif()
endfunction()

# modelbus_program(NAME [DEPS targets...]): an installed program from this folder.
function(modelbus_program name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.c)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} modelbus_flags)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# modelbus_test(NAME [SOURCES files] [DEPS targets...] [LABELS l] [TIMEOUT s] [COST s]): one Criterion
# program, one ctest entry. Default source: NAME.c. COST: about how long it takes; the longest begin first.
function(modelbus_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;COST" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT MODELBUS_TESTS)
    return()
  endif()
  if(NOT ARG_SOURCES)
    set(ARG_SOURCES ${name}.c)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_COST)
    set(ARG_COST 1)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} PkgConfig::CRITERION modelbus_flags)
  add_test(NAME ${name} COMMAND ${name} -j1 WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} COST ${ARG_COST} LABELS "${ARG_LABELS}")
endfunction()
