# For find_package(insula CONFIG): the target insula::insula. This file is installed as
# <prefix>/share/insula/cmake/insula-config.cmake, and finds header and library from there.
get_filename_component(_insula_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_path(INSULA_INCLUDE_DIR insula.h HINTS "${_insula_prefix}/include" NO_DEFAULT_PATH)
find_library(INSULA_LIBRARY insula HINTS "${_insula_prefix}"
  PATH_SUFFIXES lib lib64 "lib/${CMAKE_LIBRARY_ARCHITECTURE}" NO_DEFAULT_PATH)
if(NOT INSULA_INCLUDE_DIR OR NOT INSULA_LIBRARY)
  set(insula_FOUND FALSE)
  set(insula_NOT_FOUND_MESSAGE "there is no insula.h or no libinsula below ${_insula_prefix}")
  return()
endif()
if(NOT TARGET insula::insula)
  find_package(Threads REQUIRED)
  add_library(insula::insula UNKNOWN IMPORTED)
  set_target_properties(insula::insula PROPERTIES
    IMPORTED_LOCATION "${INSULA_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${INSULA_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
endif()
