# The generated header common/version.hpp, through the target svc_version. The commit is looked up at each build; the
# header changes only when it does.
set(svc_generated_dir ${CMAKE_BINARY_DIR}/generated)
set(svc_version_command ${CMAKE_COMMAND}
  -D SOURCE_DIR=${CMAKE_SOURCE_DIR} -D VERSION=${PROJECT_VERSION}
  -D INPUT=${CMAKE_SOURCE_DIR}/cmake/version.hpp.in -D OUTPUT=${svc_generated_dir}/common/version.hpp
  -P ${CMAKE_SOURCE_DIR}/cmake/WriteVersion.cmake)

execute_process(COMMAND ${svc_version_command} COMMAND_ERROR_IS_FATAL ANY)
add_custom_target(svc_write_version COMMAND ${svc_version_command}
  BYPRODUCTS ${svc_generated_dir}/common/version.hpp COMMENT "" VERBATIM)

add_library(svc_version INTERFACE)
target_include_directories(svc_version INTERFACE ${svc_generated_dir})
add_dependencies(svc_version svc_write_version)
