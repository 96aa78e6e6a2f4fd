/// Makes a type an event source of mio by what it holds: `registered_as!(Type, |own| source)`.
macro_rules! registered_as {
    ($type:ty, |$own:ident| $source:expr) => {
        impl mio::event::Source for $type {
            fn register(
                &mut self,
                registry: &mio::Registry,
                token: mio::Token,
                interest: mio::Interest,
            ) -> std::io::Result<()> {
                let $own = self;
                $source.register(registry, token, interest)
            }

            fn reregister(
                &mut self,
                registry: &mio::Registry,
                token: mio::Token,
                interest: mio::Interest,
            ) -> std::io::Result<()> {
                let $own = self;
                $source.reregister(registry, token, interest)
            }

            fn deregister(&mut self, registry: &mio::Registry) -> std::io::Result<()> {
                let $own = self;
                $source.deregister(registry)
            }
        }
    };
}

pub(crate) use registered_as;
