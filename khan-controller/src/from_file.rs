//! What the operator gives as files, read at the start and again whenever it changes: the whole cluster (`--from-file`) and
//! names for addresses outside of it (`--external-names`).

mod parse;

pub(crate) mod cluster;
pub(crate) mod external_names;

mod reload;

pub(crate) use reload::ReloadedFile;
