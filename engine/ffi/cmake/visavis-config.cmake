# find_package(visavis): the targets visavis::visavis (shared) and visavis::static. It is in PREFIX/share/cmake/visavis, and
# the library is found from there, wherever PREFIX is.
get_filename_component(_visavis_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_path(visavis_INCLUDE_DIR visavis.h PATHS "${_visavis_prefix}/include" NO_DEFAULT_PATH)
find_library(visavis_LIBRARY visavis PATHS "${_visavis_prefix}" PATH_SUFFIXES lib lib64
    lib/${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH)
find_library(visavis_STATIC_LIBRARY libvisavis.a PATHS "${_visavis_prefix}" PATH_SUFFIXES lib lib64
    lib/${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(visavis REQUIRED_VARS visavis_LIBRARY visavis_INCLUDE_DIR)

if(visavis_FOUND AND NOT TARGET visavis::visavis)
    add_library(visavis::visavis SHARED IMPORTED)
    set_target_properties(visavis::visavis PROPERTIES
        IMPORTED_LOCATION "${visavis_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${visavis_INCLUDE_DIR}")
endif()
if(visavis_FOUND AND visavis_STATIC_LIBRARY AND NOT TARGET visavis::static)
    # What is not in it; the same as Libs.private of visavis.pc.
    add_library(visavis::static STATIC IMPORTED)
    set_target_properties(visavis::static PROPERTIES
        IMPORTED_LOCATION "${visavis_STATIC_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${visavis_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES "vpx;stdc++;m;pthread;dl;gcc_s;util;rt")
endif()
unset(_visavis_prefix)
