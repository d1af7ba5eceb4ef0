//! The component type of a core module whose toolchain leaves none (stock Go): that of the world
//! that it exports.

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::World;
use crate::Error;

/// The worlds, as they are published.
const WORLDS: &str = include_str!("../../../../wit/transform/world.wit");
/// Each world with everything that can be granted. What a module does not import is not in its
/// component, so that nothing is asked for by this.
const WITH_GRANTS: &str = "
    package millrace:typed;
    world transform {
        include millrace:transform/transform@0.1.0;
        import millrace:transform/key-value@0.1.0;
        import millrace:transform/http@0.1.0;
    }
    world handler {
        include millrace:transform/handler@0.1.0;
        import millrace:transform/key-value@0.1.0;
        import millrace:transform/http@0.1.0;
    }
";

/// `module` with the component type of `world`.
///
/// # Errors
/// [`Error::NotWasm`] for what the type cannot be added to.
pub(super) fn typed(module: &[u8], world: World) -> Result<Vec<u8>, Error> {
    let mut resolve = Resolve::default();
    let mut embed = || {
        resolve.push_str("world.wit", WORLDS)?;
        let package = resolve.push_str("typed.wit", WITH_GRANTS)?;
        let world = resolve.select_world(&[package], Some(world.name()))?;
        let mut module = module.to_vec();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
        anyhow::Ok(module)
    };
    embed().map_err(|error| Error::NotWasm(format!("{error:#}")))
}
